"""The report as a tagged PDF (PDF/UA), made from the page by WeasyPrint, the extra `civicsync[pdf]`."""

from pathlib import Path


class NoPdf(Exception):
    """A PDF cannot be made here; the text says what is missing."""


def write(page: str, path: Path) -> None:
    """Write the page as PDF; nothing is fetched for it.

    Raises:
        NoPdf: WeasyPrint or a library of the system that it needs is not there.
    """
    try:
        from weasyprint import HTML
    except ImportError as error:
        raise NoPdf(
            "a PDF needs WeasyPrint: pip install 'civicsync[pdf]'; or make .html and print it from a browser"
        ) from error
    except OSError as error:
        raise NoPdf(
            f"a PDF needs the library Pango of the system ({str(error).split(':')[0]}); on Debian: apt install libpango-1.0-0 "
            "libpangoft2-1.0-0; or make .html and print it from a browser"
        ) from error
    HTML(string=page, base_url=None, url_fetcher=_nothing).write_pdf(str(path), pdf_variant="pdf/ua-1", pdf_tags=True)


def _nothing(url: str, *_: object, **__: object) -> dict[str, object]:
    raise ValueError(f"a report fetches nothing ({url})")
