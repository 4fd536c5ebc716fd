"""What keeps a call to somebody else's service from hurting us: retries, breakers, leases."""
