"""Flower with the cluster in it: ``switchyard flower``. Needs the extra ``flower``."""
