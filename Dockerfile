# One file, two images: `leshan` (the LwM2M server) and `app` (sync, web and the certificate tool).
# docker-compose.yml starts them; scripts/run starts the same commands without containers.

FROM maven:3.9-eclipse-temurin-17 AS leshan-build
WORKDIR /src/leshan
COPY leshan/ ./
RUN mvn -q -B package -DskipTests -pl server -am

FROM eclipse-temurin:17-jre AS leshan
# curl is for the health check
RUN apt-get update && apt-get install -y --no-install-recommends curl && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --create-home flownexus \
    && install -d -o flownexus -m 0700 /data
COPY --from=leshan-build /src/leshan/server/target/flownexus-leshan.jar /opt/flownexus/
COPY --from=leshan-build /src/leshan/server/target/lib /opt/flownexus/lib
USER flownexus
ENTRYPOINT ["java", "-Xmx1g", "-XX:+ExitOnOutOfMemoryError", "-jar", "/opt/flownexus/flownexus-leshan.jar"]

FROM node:22-slim AS browser-libraries
WORKDIR /src
COPY backend/ui/package.json backend/ui/package-lock.json ./
RUN npm ci --ignore-scripts --omit=dev

FROM python:3.12-slim AS app
ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 FLOWNEXUS_DATA=/data
RUN useradd --system --uid 10001 --create-home flownexus && install -d -o flownexus -m 0700 /data
WORKDIR /app
COPY requirements/run.txt requirements/run.txt
RUN pip install --no-cache-dir --require-hashes -r requirements/run.txt
COPY manage.py pyproject.toml README.md LICENSE ./
COPY backend/ backend/
COPY scripts/ scripts/
COPY --from=browser-libraries /src/node_modules backend/ui/node_modules
# the same copy and the same collectstatic that scripts/run does at set-up
RUN python scripts/vendor && FLOWNEXUS_DATA=/tmp/build python manage.py collectstatic --noinput -v0 \
    && rm -rf /tmp/build backend/ui/node_modules
USER flownexus
CMD ["python", "-m", "uvicorn", "backend.config.asgi:application", "--host", "0.0.0.0", "--port", "8000"]
