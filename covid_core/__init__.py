"""Covid Core: from a chest X-ray or CT image to an answer that says how sure it is."""
