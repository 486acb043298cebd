# `make` alone lists what there is.
.DEFAULT_GOAL := help
.PHONY: help setup run test test-long test-web test-docs postman deploy deny schemathesis check fmt format lint docs
.PHONY: bench bench-others bench-events bench-ingest bench-rooms soak images compose

# Where scripts/setup unpacks PostgreSQL on a machine that may not install packages; last, so that the system's wins.
export PATH := $(PATH):$(CURDIR)/.tools/postgresql/bin

help: ## List these commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## Install what is missing on this machine
	@scripts/setup

run: setup ## Build and serve on port 8080 with a demo user, a demo lab and a private PostgreSQL; Ctrl-C stops all of it
	@FLOW_DEMO=true cargo run --locked -- serve

# Tests of the API wait for servers and processes more than they compute.
test: export RUST_TEST_THREADS ?= $(shell echo $$((2 * $$(getconf _NPROCESSORS_ONLN))))
test: setup ## Run the tests, then walk the whole path by curl and the web page in a real Chromium
	@scripts/setup tmux redis rabbitmq s3 nginx openssl openbao fakepve browser
	cargo test --locked --workspace
	tests/journey
	tests/web/run

test-long: setup ## Run the tests that kill, cut off and wait
	@scripts/setup redis rabbitmq s3 nginx openbao fakepve
	cargo test --locked --workspace -- --ignored

test-web: setup ## Walk the web page in a real Chromium; pictures go to target/screenshots
	@scripts/setup browser
	cargo build --locked
	tests/web/run

test-docs: setup ## Run every command of the documentation against a service
	cargo build --locked
	tests/docs

postman: setup ## Send the whole Postman collection to a service, and see that every call is in it
	cargo build --locked
	tests/postman

deploy: ## Hold compose.yaml, the gateways, the systemd unit and the alert rules to what their own programs think of them
	@scripts/setup podman-compose nginx promtool
	@tests/deploy

deny: ## Check licences, bans and sources of all dependencies
	@scripts/setup cargo-deny
	@PATH="$(CURDIR)/.tools/cargo-deny/bin:$$PATH" cargo-deny --locked --offline check licenses bans sources

schemathesis: setup ## Hold a running service to its /openapi.json with made-up requests
	@scripts/setup schemathesis
	cargo build --locked
	tests/schemathesis

check: lint docs ## Check format, lints and documentation
	@$(MAKE) --no-print-directory format

# The tasks' modules are named in a macro, where cargo fmt does not see them.
fmt: ## Format the code
	cargo fmt --all
	rustfmt --edition 2024 tasks/*.rs

format: ## Check the format
	cargo fmt --all -- --check
	rustfmt --edition 2024 --check tasks/*.rs

lint: ## Run clippy, warnings as errors
	cargo clippy --locked --workspace --all-targets -- -D warnings

docs: ## Build the code's documentation, broken links as errors
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps --workspace

bench: ## Measure flows beside single inserts on the same PostgreSQL, and token checks beside a bare handler
	@scripts/setup wrk
	cargo build --locked --release --bins --example bare
	tests/bench
	tests/bench-auth

bench-others: ## Measure the same flow on Flow Manager, DBOS, graphile-worker, Restate and Temporal
	@scripts/setup wrk
	cargo build --locked --release
	tests/bench-others/run

soak: MINUTES ?= 10
soak: ## Ten minutes of mixed load; fails when memory or latency grows (MINUTES=5 for less)
	@scripts/setup wrk
	cargo build --locked --release
	tests/soak $(MINUTES)

bench-ingest: ## Measure an ingest of a million rows beside \copy, and cached answers beside a bare handler
	@scripts/setup wrk rabbitmq
	cargo build --locked --release --bins --example bare
	tests/bench-ingest

bench-events: ## Measure events through the outbox beside single inserts, over PostgreSQL and over RabbitMQ
	@scripts/setup rabbitmq
	cargo build --locked --release
	tests/bench-events

bench-rooms: ## Measure a room of 1,000 readers: latency, memory, and what streams leave behind
	@scripts/setup
	cargo build --locked --release
	tests/bench-rooms

images: ## Build the two images and run all of docs/containers.md with podman
	@scripts/setup podman openssl
	@tests/images

compose: ## Start all of compose.yaml with podman, ask it, kill a part, take it down and up; needs the images
	@scripts/setup podman podman-compose
	@tests/compose
