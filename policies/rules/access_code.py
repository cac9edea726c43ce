"""What the service's own code does with what callers send."""

from collections.abc import Iterator

from policies.engine.rule import Fault, rule
from policies.view.project import Project
from policies.view.sql_text import lines_with_built_sql

ITEM = "sql-injection-prevention"


@rule(ITEM, on=Project, wanted="parameters (`:name`) or SQLAlchemy's expressions", mend="bind the value as a parameter")
def the_service_builds_no_sql_from_values(project: Project) -> Iterator[Fault]:
    """A value that becomes part of a statement can end it and begin another one."""
    sources = project.files("service/**/*.py")
    if not sources:
        yield Fault("service", "there is no source of the service to look at", "the service's source in service/")
    for path in sources:
        name = str(path.relative_to(project.root))
        try:
            lines = sorted(set(lines_with_built_sql(project.text(name) or "")))
        except SyntaxError:
            yield Fault(name, "the file is not Python, so that it can't be looked at", "a file that can be parsed")
            continue
        for line in lines:
            yield Fault(f"{name}:{line}", "a statement is put together from values")
