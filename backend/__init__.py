"""FlowNexus: a local device platform for LwM2M."""
