"""Media that clients name by an address: fetched where a target needs the bytes, from the open internet alone."""
