"""A diagnosis as text for people, and as JSON for scripts (docs/commands.md)."""

from __future__ import annotations

import textwrap
import unicodedata
from typing import Any

from wizard.diagnosis.ranks import End, Pair
from wizard.diagnosis.verdict import Cause, Diagnosis

SCHEMA = "v32-wizard/diagnosis/1"
_WIDTH = 100
_LINE = 160  # characters of an evidence line in the text; the JSON has more
_PAIRS = 8
_WORDS = {
    "en": {
        "cause": "CAUSE",
        "consequence": "CONSEQUENCE",
        "possible": "POSSIBLE",
        "node": "node",
        "line": "line",
        "fix": "Fix: ",
        "goto": "Look at: ",
        "check": "check {check}, {place}",
        "log": "log of {place}",
        "pairs": "Links that failed: ",
        "more": "and {count} more",
        "none": "No cause of a failure was found.",
        "reached": "{label}: {lines} lines, came to: {stage}",
    },
    "zh": {
        "cause": "原因",
        "consequence": "后果",
        "possible": "可能",
        "node": "节点",
        "line": "行",
        "fix": "处理：",
        "goto": "查看：",
        "check": "检查项 {check}，{place}",
        "log": "{place} 的日志",
        "pairs": "建链失败的 NPU 对：",
        "more": "另有 {count} 对",
        "none": "没有找到故障原因。",
        "reached": "{label}：{lines} 行，进行到：{stage}",
    },
}


def to_json(diagnosis: Diagnosis, lang: str = "en") -> dict[str, Any]:
    """Return the diagnosis for scripts."""
    return {"schema": SCHEMA, "causes": [_entry(cause, lang) for cause in diagnosis.causes]}


def _entry(cause: Cause, lang: str) -> dict[str, Any]:
    mark = cause.mark
    return {
        "id": cause.signature.id,
        "class": cause.signature.class_,
        "node": cause.node,
        "file": cause.file,
        "line": mark.line,
        "time": mark.stamp or None,
        "excerpt": mark.text,
        "meaning": cause.meaning(lang),
        "fix": cause.fix(lang),
        "confidence": cause.confidence,
        "process": mark.process,
        "count": cause.count,
        "evidence": [{"line": number, "text": text} for number, text in mark.around],
        "pairs": [_pair(pair) for pair in cause.pairs],
        "goto": cause.goto,
    }


def _pair(pair: Pair) -> dict[str, Any]:
    def end(one: End) -> dict[str, Any]:
        return {"address": one.address, "node": one.node, "device": one.device}

    return {"source": end(pair.source), "target": end(pair.target), "tls": pair.tls}


def to_text(diagnosis: Diagnosis, lang: str = "en") -> str:
    """Return the diagnosis for people; what a log says stands in it as it is, cleaned."""
    words = _WORDS[lang]
    lines: list[str] = []
    if diagnosis.cause is None:
        lines += [words["none"], ""]
        for log in (log for log in diagnosis.logs if not log.plog):
            label = f"{words['node']} {log.node} ({log.name})"
            lines.append(
                words["reached"].format(label=label, lines=log.lines, stage=log.stage.title)
            )
        lines += [""] if diagnosis.causes else []
    for number, cause in enumerate(diagnosis.causes, 1):
        lines += [*_told(number, cause, lang), ""]
    return "\n".join(lines).rstrip() + "\n"


def _told(number: int, cause: Cause, lang: str) -> list[str]:
    words, mark = _WORDS[lang], cause.mark
    place = ", ".join(
        part for part in (cause.file, f"{words['line']} {mark.line}", mark.stamp) if part
    )
    signature = cause.signature
    head = f"{number}. {words[cause.confidence]}  {words['node']} {cause.node}"
    lines = [f"{head} ({place})  {signature.class_} {signature.id}"]
    lines += wrapped(cause.meaning(lang))
    if cause.confidence != "consequence":
        lines += wrapped(words["fix"] + cause.fix(lang))
        if goto := goto_text(cause, lang):
            lines.append(f"   {words['goto']}{goto}")
    if cause.pairs:
        lines += wrapped(links_text(cause, lang))
    around = mark.around if cause.confidence != "consequence" else ()
    for at, text in around or ((mark.line, mark.text),):
        sign = ">" if at == mark.line else " "
        lines.append(f"   {sign} {at:>6} | {text[:_LINE]}".rstrip())
    return lines


def links_text(cause: Cause, lang: str = "en", most: int = _PAIRS) -> str:
    """Return the links that failed, by their NPUs; "" of a cause that names none."""
    if not cause.pairs:
        return ""
    words = _WORDS[lang]
    told = [f"{p.source.label} – {p.target.label}" for p in cause.pairs[:most]]
    if len(cause.pairs) > most:
        told.append(words["more"].format(count=len(cause.pairs) - most))
    return words["pairs"] + "; ".join(told)


def goto_text(cause: Cause, lang: str = "en") -> str:
    """Return where the fix leads, in the words of the wizard: ``the step Nodes, nodes[1].nic``."""
    goto, words = cause.goto, _WORDS[lang]
    place = f"{words['node']} {goto.get('node')}"
    if goto.get("device") is not None:
        place += f" NPU {goto['device']}"
    if goto.get("peer_node") is not None:
        place += f" – {words['node']} {goto['peer_node']} NPU {goto['peer_device']}"
    if "field" in goto:
        return str(goto["field"])
    if "check" in goto:
        return words["check"].format(check=goto["check"], place=place)
    return words["log"].format(place=place) if goto.get("step") == "launch" else ""


def wrapped(text: str) -> list[str]:
    """Return a text in indented lines; Chinese has no blanks to break at and takes two columns."""
    wide = any(unicodedata.east_asian_width(char) in "WF" for char in text)
    width = _WIDTH // 2 if wide else _WIDTH
    return textwrap.wrap(
        text, width, initial_indent="   ", subsequent_indent="   ", break_on_hyphens=False
    )
