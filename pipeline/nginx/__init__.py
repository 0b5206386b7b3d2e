"""nginx-rtmp as the production-like ingest: a child process, asked by it who may publish, pulled by the ladder."""

from __future__ import annotations

from pipeline.nginx.ingest import NginxIngest

__all__ = ["NginxIngest"]
