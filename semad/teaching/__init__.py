"""A trained run goes on with what a person outlined: missed defects, and false alarms."""
