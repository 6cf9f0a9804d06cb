"""Views: thin; what they show comes from selectors, what they do goes to services."""
