"""The rater's pages: server-rendered, blind, and good without a script."""

from study.web.app import create_app, serve

__all__ = ["create_app", "serve"]
