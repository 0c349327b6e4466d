"""The sub-commands of ``switchyard``; some of them are ``celery``'s as well."""
