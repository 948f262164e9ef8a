"""Files: what reads them, what is known of their formats, and what is written for other programs."""
