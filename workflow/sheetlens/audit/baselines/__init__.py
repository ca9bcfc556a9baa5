"""Cheap models that never see the plant: what they see, how they are fitted, and what their answers say."""
