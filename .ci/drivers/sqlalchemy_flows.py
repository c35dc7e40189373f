"""What programs do with SQLAlchemy, over psycopg 3: its core and its mapped classes."""

import datetime
import decimal
import sys

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, relationship

from flows import run


def engine(**options):
    # It would look for the type hstore in the catalogs when it connects.
    return sa.create_engine("postgresql+psycopg://", use_native_hstore=False, **options)


class Base(DeclarativeBase):
    pass


class Author(Base):
    __tablename__ = "sa_authors"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(sa.String(50), unique=True)
    born: Mapped[datetime.date | None]
    books: Mapped[list["Book"]] = relationship(back_populates="author", cascade="all, delete-orphan")


class Book(Base):
    __tablename__ = "sa_books"
    id: Mapped[int] = mapped_column(primary_key=True)
    author_id: Mapped[int] = mapped_column(sa.ForeignKey("sa_authors.id", ondelete="CASCADE"), index=True)
    title: Mapped[str]
    price: Mapped[decimal.Decimal] = mapped_column(sa.Numeric(10, 2))
    tags: Mapped[list[str]] = mapped_column(postgresql.ARRAY(sa.Text))
    more: Mapped[dict] = mapped_column(postgresql.JSONB)
    added: Mapped[datetime.datetime] = mapped_column(sa.DateTime(timezone=True), server_default=sa.func.now())
    author: Mapped[Author] = relationship(back_populates="books")


def tables(made):
    """As they are before a flow: its own definitions, without asking which tables there are."""
    with made.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(sa.text("DROP TABLE IF EXISTS sa_books"))
        connection.execute(sa.text("DROP TABLE IF EXISTS sa_authors"))
        for table in [Author.__table__, Book.__table__]:
            connection.execute(sa.schema.CreateTable(table))
            for index in table.indexes:
                connection.execute(sa.schema.CreateIndex(index))


def flow_connects():
    with engine().connect() as connection:
        assert connection.dialect.server_version_info[0] == 15
        assert connection.scalar(sa.text("SELECT 1")) == 1


def flow_mapped_classes():
    made = engine()
    tables(made)
    with Session(made) as session:
        authors = [Author(name=f"author {n}", born=datetime.date(1950, 1, n + 1)) for n in range(5)]
        for author in authors:
            author.books = [
                Book(title=f"{author.name}: {n}", price="9.90", tags=["a", f"t{n}"], more={"pages": n})
                for n in range(3)
            ]
        session.add_all(authors)
        session.commit()
        assert [author.id for author in authors] == [1, 2, 3, 4, 5]
        first = session.get(Author, 1)
        first.name = "somebody"
        session.commit()
    with Session(made) as session:
        first = session.scalars(sa.select(Author).where(Author.name == "somebody")).one()
        assert [book.title for book in first.books] == [f"author 0: {n}" for n in range(3)]
        assert first.books[0].price == decimal.Decimal("9.90")
        assert first.books[1].tags == ["a", "t1"] and first.books[1].more == {"pages": 1}
        assert first.books[0].added.tzinfo is not None
        assert session.scalar(sa.select(sa.func.count()).select_from(Book)) == 15
        session.delete(first)
        session.commit()
        assert session.scalar(sa.select(sa.func.count()).select_from(Book)) == 12


def flow_statements():
    made = engine()
    tables(made)
    with made.begin() as connection:
        authors = Author.__table__
        connection.execute(sa.insert(authors), [{"id": n, "name": f"n{n}", "born": None} for n in range(1, 2001)])
        upsert = postgresql.insert(authors).values(id=1, name="again")
        upsert = upsert.on_conflict_do_update(index_elements=["id"], set_={"name": upsert.excluded.name})
        connection.execute(upsert)
        assert connection.scalar(sa.select(authors.c.name).where(authors.c.id == 1)) == "again"
        found = connection.execute(
            sa.select(authors.c.id).where(authors.c.id.in_([3, 1, 2])).order_by(authors.c.id.desc()).limit(2)
        )
        assert found.all() == [(3,), (2,)]
        changed = connection.execute(sa.update(authors).where(authors.c.id > 1990).values(name=authors.c.name + "!"))
        assert changed.rowcount == 10
        gone = sa.delete(authors).where(authors.c.name.like("%!")).returning(authors.c.id)
        assert sorted(connection.scalars(gone)) == list(range(1991, 2001))


def flow_errors_and_savepoints():
    made = engine()
    tables(made)
    with Session(made) as session:
        session.add(Author(name="one"))
        session.flush()
        try:
            with session.begin_nested():
                session.add(Author(name="one"))
                session.flush()
        except sa.exc.IntegrityError as error:
            assert error.orig.sqlstate == "23505"
        session.commit()
        assert session.scalar(sa.select(sa.func.count()).select_from(Author)) == 1


def flow_isolation_and_pool():
    made = engine(isolation_level="REPEATABLE READ", pool_pre_ping=True, pool_size=2)
    for _ in range(5):
        with made.connect() as connection:
            assert connection.scalar(sa.text("SHOW transaction_isolation")) == "repeatable read"
    with engine().connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        assert connection.scalar(sa.text("SELECT 1")) == 1


run(sys.modules[__name__])
