# Switchyard with nothing of yours in it:
#
#   docker build -t switchyard .
#   docker run --rm switchyard nodes --broker redis://HOST:6379/0
#
# For your own application begin with "FROM switchyard", install what it needs (as root), and put it into /app.
FROM python:3.11-slim

COPY pyproject.toml README.md LICENSE /src/
COPY scheduler /src/scheduler
COPY workers /src/workers
RUN pip install --no-cache-dir "/src[beat,flower]" && rm -rf /src \
 && useradd --create-home --uid 1000 switchyard

# Where `-A proj` is looked for.
WORKDIR /app
USER switchyard

# The command becomes Celery's worker by exec, so SIGTERM reaches it and the node finishes its tasks.
STOPSIGNAL SIGTERM
ENTRYPOINT ["switchyard"]
CMD ["--help"]
