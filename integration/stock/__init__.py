"""The suite for a real Darling as it comes: each defect shown without the shim, and cured with it."""
