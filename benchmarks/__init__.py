"""What `make bench` measures; every ratio comes from one run on one machine."""
