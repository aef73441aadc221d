"""Warnings of Qt, kept as problems: a layout set twice, an unknown property, a signal that does not exist."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from PySide6.QtCore import QtMsgType, qInstallMessageHandler

from ..core.reports import report

OF_THE_PLATFORM = ("This plugin does not support", "Cannot find font directory", "Populating font family aliases")
"""Parts of messages that speak of the offscreen platform, not of a panel."""


class QtWarning(RuntimeWarning):
    """A warning that Qt printed."""


def reported(method: Callable[..., None]) -> Callable[..., None]:
    """Keep the exceptions of a method that Qt calls, which PySide only prints."""

    @functools.wraps(method)
    def call(*arguments: Any) -> None:
        try:
            method(*arguments)
        except Exception as error:
            report(error)

    return call


def listen() -> None:
    """Keep every warning of Qt from now on."""
    qInstallMessageHandler(_keep)


def _keep(kind: QtMsgType, context: object, message: str) -> None:
    isWarning = kind not in (QtMsgType.QtDebugMsg, QtMsgType.QtInfoMsg)
    if isWarning and not any(part in message for part in OF_THE_PLATFORM):
        report(QtWarning(message))
