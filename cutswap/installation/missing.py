"""A package that is not there, or broken: one line saying what to install, not a traceback."""

from __future__ import annotations

from cutswap.installation.shipped import checkout

# Import name: what pip calls it, where the two differ.
_PACKAGES = {
    "PIL": "pillow",
    "cv2": "opencv-python-headless",
    "faiss": "faiss-cpu",
    "pytorch_grad_cam": "grad-cam",
    "sklearn": "scikit-learn",
}
_OWN = ("app", "cutswap", "pages", "tests")


def missing_package(error: ImportError) -> str | None:
    """What to say of a failed import, in one line.

    Args:
        error: what `import` raised.

    Returns:
        None where it is no package to install: a module of ours, or a name that is not in one.
    """
    name = (error.name or "").partition(".")[0]
    if not name or name in _OWN:
        return None
    package = _PACKAGES.get(name, name)
    if isinstance(error, ModuleNotFoundError):
        found = "is not installed"
    else:  # there, but half of it, or of another version
        found = f"cannot be imported ({str(error).splitlines()[0]})"
    return (
        f"the package {package} {found}; install it: python -m pip install"
        f" {'' if isinstance(error, ModuleNotFoundError) else '--force-reinstall '}{package}"
        f" (all of them: {'-r requirements.txt' if checkout() else 'cutswap'})"
    )
