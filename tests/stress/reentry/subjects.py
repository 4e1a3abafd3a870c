"""All kinds of objects of a case."""
from .channels import ChannelSubject
from .imaps import ImapSubject
from .library import LibrarySubject
from .subject import METHODS  # noqa: F401
from .tasks import GeneratorSubject, ThreadSubject

KINDS = {found.kind: found for found in (ThreadSubject, GeneratorSubject, ChannelSubject, ImapSubject, LibrarySubject)}
