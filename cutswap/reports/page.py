"""The page that all reports share: one HTML file with its pictures inside, printable, no script.

Values are escaped; a name is text whatever it holds. The page's own policy lets a browser load
nothing from anywhere.
"""

from __future__ import annotations

import base64
import io
from typing import Any

import numpy as np
from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from PIL import Image

JPEG_QUALITY = 88


def html_page(package: str, template: str, **values: Any) -> str:
    """A report as a text.

    Args:
        package: where its template lies, which extends `page.html` of this package.
        template: name of the file.
        **values: what the template asks for; all are escaped.
    """
    own, shared = PackageLoader(package, "."), PackageLoader("cutswap.reports", ".")
    environment = Environment(
        loader=ChoiceLoader([own, shared]), autoescape=True, undefined=StrictUndefined
    )
    return environment.get_template(template).render(**values)


def jpeg(photo: np.ndarray) -> bytes:
    """(H, W, 3) uint8 as JPEG bytes."""
    data = io.BytesIO()
    Image.fromarray(photo).save(data, "JPEG", quality=JPEG_QUALITY)
    return data.getvalue()


def inline(photo: np.ndarray) -> str:
    """(H, W, 3) uint8 as a data URL."""
    return "data:image/jpeg;base64," + base64.b64encode(jpeg(photo)).decode()
