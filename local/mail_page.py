"""The mail page as HTML; every value of a mail is escaped."""

import time
from email.message import EmailMessage
from html import escape
from pathlib import Path
from string import Template
from typing import Final

from local.mails import Attachment, Summary, attachments, summary, text

PAGE: Final = Template(Path(__file__).with_suffix(".html").read_text(encoding="utf-8"))
REFRESH: Final = '<meta http-equiv="refresh" content="5">'


def render(summaries: list[Summary], chosen: str | None, mail: EmailMessage | None) -> str:
    """The list of mails and, beside it, the chosen one."""
    count = len(summaries)
    nothing = "Choose a mail." if summaries else "No mail yet. Send a quote and it appears here."
    return PAGE.substitute(
        refresh="" if mail else REFRESH,
        title=escape(str(mail["Subject"]) if mail else "Mail"),
        count=f"{count} mail{'' if count == 1 else 's'} sent by the local stack",
        list="".join(_entry(item, chosen) for item in summaries),
        mail=_mail(chosen, mail) if chosen and mail else f'<p class="empty">{nothing}</p>',
    )


def _entry(item: Summary, chosen: str | None) -> str:
    current = ' aria-current="page"' if item.id == chosen else ""
    return (
        f'<a href="/?id={escape(item.id)}"{current}><strong>{escape(item.subject)}</strong>'
        f'<span class="from">{escape(", ".join(item.to))}</span> '
        f'<span class="when">· {_clock(item.sent_at)}</span></a>'
    )


def _mail(identity: str, mail: EmailMessage) -> str:
    about = summary(identity, mail)
    rows = [("From", about.sender), ("To", ", ".join(about.to)), ("Sent", _clock(about.sent_at))]
    if mail["Cc"]:
        rows.insert(2, ("Cc", str(mail["Cc"])))
    lines = "".join(f"<dt>{name}</dt><dd>{escape(value)}</dd>" for name, value in rows)
    plain = escape(text(mail, "plain") or "")
    if text(mail, "html") is None:
        body = f"<pre>{plain}</pre>"
    else:
        body = (
            f'<iframe sandbox title="The mail" src="/messages/{identity}/html"></iframe>'
            f"<details><summary>Text version</summary><pre>{plain}</pre></details>"
        )
    return (
        f"<h2>{escape(about.subject)}</h2><dl>{lines}</dl>"
        f"{_files(attachments(identity, mail))}{body}"
        f'<a href="/messages/{identity}/raw">Source</a>'
    )


def _files(found: list[Attachment]) -> str:
    if not found:
        return ""
    links = (
        f'<li><a href="{file.url}" download>{escape(file.name)} · {_size(file.size)}</a></li>'
        for file in found
    )
    return f"<ul>{''.join(links)}</ul>"


def _size(count: int) -> str:
    return f"{count} B" if count < 1024 else f"{count / 1024:.0f} KB"  # noqa: PLR2004


def _clock(moment: float) -> str:
    return time.strftime("%d %b %Y, %H:%M:%S", time.localtime(moment))
