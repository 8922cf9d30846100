"""Direct logit attribution: what each node writes for each label."""
