"""The registry's tables. Divisions and code tables are none of them: they are files, read once (`divisions`, `codes`).

`case_id` names a row of a room above, so it carries no foreign key; it is there to make moving a student repeatable.
"""

from __future__ import annotations

import sqlalchemy as sa

from engine.db import UtcDateTime, metadata

_BigId = sa.BigInteger().with_variant(sa.Integer, "sqlite")

organisation = sa.Table(
    "organisation",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    # ministry, province, prefecture, county, school; the order of `organisations.LEVELS`.
    sa.Column("level", sa.String(10), nullable=False),
    sa.Column("name", sa.String(100), nullable=False),
    sa.Column("name_en", sa.String(200)),
    # A school's ten digits (学校标识码); authorities have none.
    sa.Column("code", sa.String(10), unique=True),
    # Where it stands, not whom it obeys; the ministry stands nowhere.
    sa.Column("division_code", sa.String(6)),
    # The authority in charge; for a school its 学籍主管部门, whatever that authority's level.
    sa.Column("parent_id", sa.ForeignKey("organisation.id")),
    # A closed school stays for its history and is offered nowhere.
    sa.Column("active", sa.Boolean, nullable=False, default=True),
    sa.CheckConstraint("(level = 'ministry') = (parent_id IS NULL)", name="parent"),
    sa.Index("ix_organisation_parent_id", "parent_id"),
    sa.Index("ix_organisation_level_division_code", "level", "division_code"),
)

# Every organisation with each of its superiors and, at depth 0, itself: "lies in my jurisdiction" is one indexed row.
organisation_ancestor = sa.Table(
    "organisation_ancestor",
    metadata,
    sa.Column("descendant_id", sa.ForeignKey("organisation.id"), primary_key=True),
    sa.Column("ancestor_id", sa.ForeignKey("organisation.id"), primary_key=True),
    sa.Column("depth", sa.Integer, nullable=False),
    # Whether the two came together by a move, or may have: then older cases of the one are not the other's.
    sa.Column("moved", sa.Boolean, nullable=False, server_default=sa.true()),
    sa.Index("ix_organisation_ancestor_ancestor_id_descendant_id", "ancestor_id", "descendant_id"),
)

school_class = sa.Table(
    "school_class",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("school_id", sa.ForeignKey("organisation.id"), nullable=False),
    # A code of `data/grade.csv`, whose first digit is the stage.
    sa.Column("grade", sa.String(2), nullable=False),
    sa.Column("name", sa.String(20), nullable=False),  # (1)班
    sa.Column("capacity", sa.Integer, nullable=False),
    sa.Column("enrolled", sa.Integer, nullable=False, default=0),
    # Places promised to pending transfers.
    sa.Column("reserved", sa.Integer, nullable=False, default=0),
    sa.CheckConstraint("enrolled >= 0 AND reserved >= 0 AND enrolled + reserved <= capacity", name="capacity"),
    sa.UniqueConstraint("school_id", "grade", "name"),
)

student = sa.Table(
    "student",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("name", sa.String(100), nullable=False),
    sa.Column("gender", sa.String(1), nullable=False),
    sa.Column("birth_date", sa.Date, nullable=False),
    # Without a document (未登记户口) both are empty, and the formal number is one for students without an ID number.
    sa.Column("id_type", sa.String(1)),
    sa.Column("id_number", sa.String(30)),
    # The formal 学籍号, national or provincial; it stays when the ID number changes.
    sa.Column("record_number", sa.String(19), unique=True),
    sa.Column("temporary_number", sa.String(19), unique=True),
    sa.Column("ethnicity", sa.String(2)),
    sa.Column("political_status", sa.String(2)),
    sa.Column("household_type", sa.String(20)),  # 农业户口 …, in the document's words
    sa.Column("household_division", sa.String(6)),
    sa.Column("birth_division", sa.String(6)),
    sa.Column("guardian_name", sa.String(100)),
    sa.Column("guardian_id_number", sa.String(30)),
    sa.Column("only_child", sa.Boolean, nullable=False, default=False),
    sa.Column("out_of_district", sa.Boolean, nullable=False, default=False),  # 学区外
    sa.Column("from_elsewhere", sa.Boolean, nullable=False, default=False),  # 外埠学生
    sa.Column("migrant", sa.Boolean, nullable=False, default=False),  # 流动人口
    # With whom a left-behind child lives (随父母一方生活 …); empty for all others.
    sa.Column("left_behind", sa.String(20)),
    sa.Column("boarding", sa.Boolean, nullable=False, default=False),
    # A code of `data/status.csv`; which of them may move is `students.movable_statuses`.
    sa.Column("status", sa.String(2), nullable=False, default="01"),
    # 问题学籍: the releasing school has something to put right before the record can move.
    sa.Column("problem", sa.Boolean, nullable=False, default=False),
    # Another business of the releasing school that is not finished (休学办理中 …).
    sa.Column("open_business", sa.String(50)),
    # The number leads, so that this is the index of the look-up too.
    sa.UniqueConstraint("id_number", "id_type"),
    sa.Index("ix_student_name", "name"),
)

# Departures from `movable` in `data/status.csv`, made by an administrator.
movable_status = sa.Table(
    "movable_status",
    metadata,
    sa.Column("status", sa.String(2), primary_key=True),
    sa.Column("movable", sa.Boolean, nullable=False),
)

enrolment = sa.Table(
    "enrolment",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("student_id", sa.ForeignKey("student.id"), nullable=False),
    sa.Column("school_id", sa.ForeignKey("organisation.id"), nullable=False),
    sa.Column("class_id", sa.ForeignKey("school_class.id"), nullable=False),
    # The one entered: the class moves up each year, this row does not.
    sa.Column("grade", sa.String(2), nullable=False),
    sa.Column("from_date", sa.Date, nullable=False),
    sa.Column("until_date", sa.Date),
    sa.Column("current", sa.Boolean, nullable=False, default=True),
    # The transfer that opened it; unique, so that a case enrols once.
    sa.Column("case_id", sa.Integer, unique=True),
    sa.CheckConstraint("current = (until_date IS NULL)", name="current"),
    sa.Index("ix_enrolment_student_id", "student_id"),
    sa.Index("ix_enrolment_class_id", "class_id"),
    sa.Index("ix_enrolment_school_id_current", "school_id", "current"),
    sa.Index(
        "uq_enrolment_student_id_current",
        "student_id",
        unique=True,
        postgresql_where=sa.text("current"),
        sqlite_where=sa.text("current"),
    ),
)

electronic_record = sa.Table(
    "electronic_record",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("student_id", sa.ForeignKey("student.id"), nullable=False),
    sa.Column("school_id", sa.ForeignKey("organisation.id"), nullable=False),
    # current: the school continues it. backup: what a former school keeps, for reading alone.
    sa.Column("state", sa.String(10), nullable=False),
    # The seal over all parts, `records.seal`.
    sa.Column("hash", sa.String(64), nullable=False),
    sa.Column("created_at", UtcDateTime, nullable=False),
    # The record it was copied from, and the transfer that did it; unique, so that a case retrieves once.
    sa.Column("origin_record_id", sa.ForeignKey("electronic_record.id")),
    sa.Column("case_id", sa.Integer, unique=True),
    sa.CheckConstraint("state IN ('current', 'backup')", name="state"),
    sa.Index("ix_electronic_record_student_id", "student_id"),
    sa.Index("ix_electronic_record_school_id_state", "school_id", "state"),
    sa.Index(
        "uq_electronic_record_student_id_current",
        "student_id",
        unique=True,
        postgresql_where=sa.text("state = 'current'"),
        sqlite_where=sa.text("state = 'current'"),
    ),
)

record_part = sa.Table(
    "record_part",
    metadata,
    sa.Column("id", _BigId, primary_key=True),
    sa.Column("record_id", sa.ForeignKey("electronic_record.id"), nullable=False),
    sa.Column("kind", sa.String(10), nullable=False),  # one of `records.KINDS`
    sa.Column("title", sa.String(100), nullable=False),
    # JSON, not JSONB: what was sealed must come back number by number as it was written.
    sa.Column("content", sa.JSON, nullable=False),
    sa.Column("hash", sa.String(64), nullable=False),
    sa.Index("ix_record_part_record_id", "record_id"),
)

student_lookup = sa.Table(
    "student_lookup",
    metadata,
    sa.Column("id", _BigId, primary_key=True),
    sa.Column("at", UtcDateTime, nullable=False),
    # No foreign key: people belong to a neighbouring room.
    sa.Column("person_id", sa.Integer),
    sa.Column("organisation_id", sa.Integer),
    # Nobody when number and name did not match.
    sa.Column("student_id", sa.Integer),
    # The column of `student` that has the number of a hit.
    sa.Column("number_kind", sa.String(20)),
    # The number of a miss, salted: a stolen log of misses is no list of children. `lookups.is_about` compares.
    sa.Column("number_hash", sa.String(100)),
    sa.Index("ix_student_lookup_person_id_at", "person_id", "at"),
    sa.Index("ix_student_lookup_student_id", "student_id"),
)
