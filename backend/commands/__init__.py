"""What people ask of devices: each request a row that ends, visibly."""
