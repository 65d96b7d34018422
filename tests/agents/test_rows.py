"""Row agents and their tables: making, reading, writing and removing agents."""

import copy
import pickle

import mesa
import numpy as np
import pandas as pd
import pytest
from town import Elder, Person, Town

from citytwin.agents.rows import Column, RowAgent, RowModel


@pytest.fixture
def model():
    return RowModel(rng=1)


class TestColumns:
    def test_a_class_tells_its_columns_with_type_unit_and_meaning(self):
        columns = Person.columns()
        assert list(columns) == ["age", "mood", "well", "debt"]
        assert columns["age"] is Person.age
        assert (columns["age"].dtype, columns["age"].default) == (np.uint8, 30)
        assert (columns["age"].unit, columns["age"].doc) == ("years", "age")

    def test_a_subclass_has_the_columns_of_its_base_and_its_own(self, model):
        assert list(Elder.columns()) == ["age", "mood", "well", "debt", "wisdom"]
        assert "wisdom" not in Person.columns()
        elder = Elder(model, age=80, wisdom=100)
        assert (elder.age, elder.wisdom, elder.greeting()) == (80, 100, "hello, 80 years")

    @pytest.mark.parametrize("name", ["model", "unique_id", "remove", "step", "random", "pos", "row", "_hidden"])
    def test_names_that_every_agent_has_are_refused(self, name):
        with pytest.raises(TypeError, match=f"Odd.{name}: the name is taken by every agent"):
            type("Odd", (RowAgent,), {name: Column("f4")})

    def test_a_plain_value_may_not_hide_a_column(self):
        with pytest.raises(TypeError, match=r"Odd\.age hides a column"):
            type("Odd", (Person,), {"age": 3})

    def test_a_column_may_be_declared_anew(self, model):
        class Ancient(Person):
            age = Column("u2")

        assert Ancient(model, age=969).age == 969

    def test_one_column_object_has_one_name(self):
        column = Column("f4")
        with pytest.raises(TypeError, match="called 'first' already"):
            type("Odd", (RowAgent,), {"first": column, "second": column})

    @pytest.mark.parametrize("dtype", ["U5", "f2", "c8", "M8[D]", object])
    def test_other_types_are_refused(self, dtype):
        with pytest.raises(TypeError, match="allowed are bool, i1 to i8"):
            Column(dtype)

    def test_a_default_must_fit(self):
        with pytest.raises(ValueError, match=r"default: value 300 does not fit uint8; allowed is 0 … 255"):
            Column("u1", 300)


class TestCreating:
    def test_columns_get_values_and_defaults(self, model):
        people = Person.create_agents(model, 3, age=[1, 2, 3], mood=0.25)
        assert people.get(["age", "mood", "well", "debt"]) == [[age, 0.25, True, 0] for age in (1, 2, 3)]
        assert {name: values.dtype for name, values in model.table(Person).columns.items()} == {
            "age": np.uint8,
            "mood": np.float32,
            "well": np.bool_,
            "debt": np.int64,
        }

    @pytest.mark.parametrize("values", [[4, 5], (4, 5), np.array([4, 5], np.int64), pd.Series([4, 5], index=[9, 8])])
    def test_values_may_come_in_any_sequence(self, model, values):
        assert Person.create_agents(model, 2, age=values).get("age") == [4, 5]

    def test_values_are_copied(self, model):
        ages = np.array([1, 2], np.uint8)
        Person.create_agents(model, 2, age=ages).do("birthday")
        assert ages.tolist() == [1, 2]

    def test_one_by_one(self, model):
        people = [Person(model, age=age) for age in range(50)]
        assert [person.age for person in people] == list(range(50))
        assert [person.unique_id for person in people] == list(range(1, 51))
        assert len(model.table(Person)) == len(model.agents) == 50

    def test_none(self, model):
        assert len(Person.create_agents(model, 0)) == 0
        with pytest.raises(ValueError, match="cannot make -1 agents"):
            Person.create_agents(model, -1)

    @pytest.mark.parametrize(
        ("values", "message"),
        [
            ({"age": [1, 2]}, r"Person\.age: 2 values given for 3 rows; give one value, or one a row"),
            ({"age": np.zeros((3, 1))}, r"Person\.age: an array of shape \(3, 1\) given for 3 rows"),
            ({"age": [1, 300, 2]}, r"Person\.age: value 300 in row 1 does not fit uint8; allowed is 0 … 255"),
            ({"age": [1, -1, 2]}, r"Person\.age: value -1 in row 1 does not fit uint8"),
            ({"age": 1.5}, r"Person\.age: whole numbers wanted, got float64; round them"),
            ({"age": "old"}, r"Person\.age: numbers of type uint8 wanted, got <U3 \(.*'old'.*\)"),
            ({"age": None}, r"Person\.age: numbers of type uint8 wanted, got object"),
            ({"mood": [0.0, 1e300, 0.0]}, r"Person\.mood: value 1e\+300 in row 1 does not fit float32"),
            ({"well": [0, 1, 2]}, r"Person\.well: value 2 in row 2 does not fit bool; allowed is True or False"),
        ],
    )
    def test_what_does_not_fit_is_refused_and_nothing_is_made(self, model, values, message):
        with pytest.raises(ValueError, match=message):
            Person.create_agents(model, 3, **values)
        assert len(model.table(Person)) == 0
        assert Person(model).unique_id == 1

    def test_an_unknown_column_is_refused(self, model):
        with pytest.raises(TypeError, match=r"Person has no column 'height'; .* columns are: age, mood, well, debt"):
            Person.create_agents(model, 3, height=1.8)
        with pytest.raises(TypeError, match="name the columns, for example age=values"):
            Person.create_agents(model, 3, [1, 2, 3])

    def test_infinite_and_missing_values_fit_float_columns(self, model):
        person = Person(model, mood=np.inf)
        assert person.mood == np.inf
        person.mood = np.nan
        assert np.isnan(person.mood)

    def test_a_class_with_its_own_constructor_is_made_agent_by_agent(self, model):
        class Twin(Person):
            def __init__(self, model, name_length, **values):
                super().__init__(model, debt=2 * name_length, **values)

        twins = Twin.create_agents(model, 2, [3, 4], age=np.array([7, 8]))
        assert twins.get(["debt", "age"]) == [[6, 7], [8, 8]]

    def test_from_a_data_frame(self, model):
        people = Person.from_dataframe(model, pd.DataFrame({"age": [1, 2], "debt": [10, 20]}), mood=0.75)
        assert people.get(["age", "debt", "mood"]) == [[1, 10, 0.75], [2, 20, 0.75]]

    def test_a_model_without_tables_is_refused(self):
        with pytest.raises(TypeError, match="needs a model that derives from RowModel"):
            Person(mesa.Model(rng=1))

    def test_only_row_agents_have_a_table(self, model):
        with pytest.raises(TypeError, match="no class of row agents"):
            model.table(mesa.Agent)


class TestViews:
    def test_an_agent_is_a_mesa_agent(self, model):
        person = Person(model, age=33)
        assert isinstance(person, mesa.Agent)
        assert person.model is model
        assert person.random is model.random
        assert person.step() is None

    def test_views_of_one_row_are_the_same_agent(self, model):
        first, second = Person.create_agents(model, 2)
        again = model.table(Person).view(0)
        assert again is not first
        assert (again == first, hash(again) == hash(first), len({again, first, second})) == (True, True, 2)
        assert first != second
        assert first != Elder(model)
        assert first != 1

    def test_values_read_as_python_numbers(self, model):
        person = Person(model)
        assert [type(v) for v in (person.age, person.mood, person.well, person.unique_id)] == [int, float, bool, int]

    def test_what_is_written_lies_in_the_column(self, model):
        person = Person(model)
        person.age, person.well = 41, False
        columns = model.table(Person).columns
        assert (columns["age"].tolist(), columns["well"].tolist()) == ([41], [False])
        columns["age"][0] = 42
        assert person.age == 42

    @pytest.mark.parametrize("value", [np.int32(5), np.uint8(5), np.bool_(True), np.array(5)])
    def test_numpy_numbers_may_be_written(self, model, value):
        person = Person(model)
        person.age = value
        assert person.age == int(value)

    @pytest.mark.parametrize(
        ("value", "message"),
        [
            (300, "value 300 does not fit uint8; allowed is 0 … 255"),
            (-1, "value -1"),
            (1.5, "whole numbers"),
            ("x", "<U1"),
        ],
    )
    def test_what_does_not_fit_is_not_written(self, model, value, message):
        person = Person(model)
        with pytest.raises(ValueError, match=rf"Person\.age: .*{message}"):
            person.age = value
        assert person.age == 30

    def test_undeclared_attributes_are_refused_with_the_remedy(self, model):
        person = Person(model)
        remedy = r"""^Person has no column 'hobby'; declare it in the class body: hobby = Column\("f4"\)$"""
        with pytest.raises(AttributeError, match=remedy):
            person.hobby = 1
        with pytest.raises(AttributeError, match=remedy):
            _ = person.hobby
        assert not hasattr(person, "hobby")
        assert getattr(person, "hobby", "none") == "none"

    def test_methods_cannot_be_assigned(self, model):
        with pytest.raises(AttributeError):
            Person(model).unique_id = 7

    def test_a_property_may_write(self, model):
        class Debtor(Person):
            @property
            def wealth(self):
                return -self.debt

            @wealth.setter
            def wealth(self, value):
                self.debt = -value

        debtor = Debtor(model)
        debtor.wealth = 12
        assert (debtor.debt, debtor.wealth) == (-12, 12)

    def test_an_error_inside_a_property_is_seen(self, model):
        class Broken(Person):
            @property
            def wealth(self):
                return self.purse

        with pytest.raises(AttributeError, match="Broken has no column 'purse'"):
            _ = Broken(model).wealth

    def test_class_attributes_can_be_read(self, model):
        class Tall(Person):
            HEIGHT = 2.0

        assert Tall(model).HEIGHT == 2.0

    def test_repr_shows_the_row(self, model):
        shown = repr(Person(model, age=33))
        assert shown == "Person(unique_id=1, age=33, mood=0.5, well=True, debt=0)"

    def test_copies_of_a_view(self, model):
        person = Person(model, age=33)
        assert copy.copy(person) == person
        other = copy.deepcopy(person)
        other.age = 5
        assert (person.age, other.age, other.model is model) == (33, 5, False)
        assert pickle.loads(pickle.dumps(person)).age == 33

    def test_views_kept_in_the_model_survive_a_copy(self, model):
        people = Person.create_agents(model, 3, age=[1, 2, 3])
        model.first = people[0]
        model.infected = {people[1]: "monday"}
        for twin in (
            copy.deepcopy(model),
            pickle.loads(pickle.dumps(model)),
            pickle.loads(pickle.dumps(people[0])).model,
        ):
            assert twin.first.model is twin
            assert twin.infected[twin.agents[1]] == "monday"


class TestTable:
    def test_a_process_attaches_a_column(self, model):
        people = Person.create_agents(model, 3)
        table = model.table(Person)
        column = table.attach("viral_load", Column("f8", 1.5, unit="copies/ml"))
        column[1] = 9.0
        assert people.get("viral_load") == [1.5, 9.0, 1.5]
        people[0].viral_load = 2.0
        assert column.tolist() == [2.0, 9.0, 1.5]
        assert people.select(where=lambda p: p.viral_load > 1.6).get("unique_id") == [1, 2]
        assert table.specs["viral_load"].unit == "copies/ml"
        assert Person.create_agents(model, 2, viral_load=[4, 5]).get("viral_load") == [4.0, 5.0]
        assert Person(model).viral_load == 1.5

    def test_an_attached_column_belongs_to_one_model(self, model):
        model.table(Person).attach("viral_load", Column("f8"))
        other = Person(RowModel(rng=1))
        with pytest.raises(AttributeError, match="Person has no column 'viral_load'"):
            _ = other.viral_load
        assert "viral_load" not in Person.columns()

    def test_attached_values_must_fit(self, model):
        Person.create_agents(model, 3)
        table = model.table(Person)
        assert table.attach("dose", Column("u1"), [1, 2, 3]).tolist() == [1, 2, 3]
        with pytest.raises(ValueError, match=r"Person\.more: 2 values given for 3 rows"):
            table.attach("more", Column("u1"), [1, 2])

    @pytest.mark.parametrize("name", ["age", "model", "birthday", "unique_id"])
    def test_a_name_in_use_cannot_be_attached(self, model, name):
        with pytest.raises(ValueError, match=f"Person has '{name}' already"):
            model.table(Person).attach(name, Column("u1"))

    @pytest.mark.parametrize("name", ["_age", "two words", ""])
    def test_no_name_cannot_be_attached(self, model, name):
        with pytest.raises(ValueError, match="cannot name a column"):
            model.table(Person).attach(name, Column("u1"))

    def test_columns_cannot_be_rebound(self, model):
        with pytest.raises(TypeError):
            model.table(Person).columns["age"] = np.zeros(3)

    def test_a_growing_table_keeps_its_values(self, model):
        table = model.table(Person)
        for n in (3, 1, 20, 1):
            Person.create_agents(model, n, age=np.arange(len(table), len(table) + n))
        assert table.columns["age"].tolist() == list(range(25))
        assert table.uid.tolist() == list(range(1, 26))
        assert table.alive.all()
        assert [agent.age for agent in table.agents] == list(range(25))

    def test_rows_by_number_or_mask(self, model):
        Person.create_agents(model, 4, age=[1, 2, 3, 4])
        table = model.table(Person)
        assert table.rows([3, 1]).get("age") == [4, 2]
        assert table.rows(table.columns["age"] > 2).get("age") == [3, 4]
        assert table.rows([]).get("age") == []

    def test_repr(self, model):
        Person.create_agents(model, 4)[0].remove()
        assert repr(model.table(Person)) == "Table(Person: 4 rows, 1 removed; age, mood, well, debt)"


class TestRemoving:
    def test_a_removed_agent_leaves_every_set(self, model):
        people = Person.create_agents(model, 5, age=range(5))
        chosen = people.select(where=lambda p: p.age >= 2)
        mixed = model.agents.copy()
        gone = people[3]
        gone.remove()
        for agents in (people, chosen, mixed, model.agents, model.agents_by_type[Person], people.copy()):
            assert gone not in agents
            assert 3 not in agents.get("age")
            assert [agent.age for agent in agents] == agents.get("age")
            assert len(agents) == len(agents.get("age"))
        assert people.get("age") == [0, 1, 2, 4]
        assert chosen.get("age") == [2, 4]

    def test_rows_stay_where_they_are(self, model):
        people = Person.create_agents(model, 3, age=[7, 8, 9])
        last = people[2]
        people[0].remove()
        assert (last.row, last.age, model.table(Person).columns["age"].tolist()) == (2, 9, [7, 8, 9])
        assert Person(model).row == 3

    def test_the_values_of_a_removed_agent_can_be_read(self, model):
        person = Person(model, age=33)
        person.remove()
        assert (person.age, person.is_alive) == (33, False)

    def test_twice_is_once(self, model):
        person = Person.create_agents(model, 2)[0]
        person.remove()
        person.remove()
        assert (len(model.agents), model.table(Person).removals) == (1, 1)

    def test_identifiers_are_not_used_again(self, model):
        Person(model).remove()
        assert Person(model).unique_id == 2

    def test_many_at_once(self, model):
        people = Person.create_agents(model, 6, age=range(6))
        table = model.table(Person)
        table.remove(table.columns["age"] % 2 == 0)
        table.remove([0, 1, 1])
        assert people.get("age") == [3, 5]
        assert table.removals == 4

    def test_all(self, model):
        class Mourned(Person):
            def remove(self):
                self.model.deaths += 1
                super().remove()

        model.deaths = 0
        Mourned.create_agents(model, 3)
        Person.create_agents(model, 4)
        mesa.Agent(model)
        model.remove_all_agents()
        assert (len(model.agents), model.deaths) == (0, 3)
        assert list(model.agents) == []


class TestRandomFloat:
    def test_it_depends_on_seed_purpose_agent_and_day_only(self):
        def draws(rng, day, n=3):
            model = RowModel(rng=rng)
            model.day = day
            return Person.create_agents(model, n).map("random_float", "mask")

        assert draws(1, 0) == draws(1, 0)
        assert draws(1, 0) == draws(1, 0, n=5)[:3]
        values = {draws(rng, day)[agent] for rng in (1, 2) for day in (0, 1) for agent in range(3)}
        assert len(values) == 12
        assert all(0 < value < 1 for value in values)

    def test_purposes_are_independent_and_order_does_not_matter(self, model):
        first, second = Person.create_agents(model, 2)
        a, b = first.random_float("mask"), second.random_float("mask")
        assert (second.random_float("mask"), first.random_float("mask")) == (b, a)
        assert first.random_float("walk") != a

    def test_without_a_day_the_number_of_steps_counts(self, model):
        person = Person(model)
        before = person.random_float("mask")
        model.step()
        after = person.random_float("mask")
        model.day = 0
        assert (person.random_float("mask"), before != after) == (before, True)

    def test_it_is_uniform(self, model):
        values = np.sort(Person.create_agents(model, 4000).map("random_float", "mask"))
        distance = np.abs(values - (np.arange(4000) + 0.5) / 4000).max()
        assert distance < 1.95 / np.sqrt(4000)  # Kolmogorov-Smirnov, fails once in a thousand seeds

    def test_a_model_without_a_whole_seed_is_told_so(self, model):
        person = Person(model)
        model.seed_number = "lucky"
        with pytest.raises(
            TypeError, match=r"needs whole numbers model\.seed_number and model\.day, not 'lucky' and 0"
        ):
            person.random_float("mask")

    def test_seeds_that_are_no_numbers_give_a_number_and_leave_the_stream(self):
        models = [RowModel(rng=np.random.default_rng(5)) for _ in range(2)]
        assert models[0].seed_number == models[1].seed_number
        plain = mesa.Model(rng=np.random.default_rng(5))
        assert models[0].rng.random() == plain.rng.random()
        assert RowModel(rng=np.int64(7)).seed_number == 7
        assert RowModel().seed_number != RowModel().seed_number


class TestHooks:
    def test_a_class_knows_what_it_overrides(self):
        assert Elder.overrides("greeting")
        assert not Elder.overrides("birthday")
        assert not Person.overrides("greeting")

    def test_a_subclass_of_a_subclass_overrides_too(self):
        assert type("Oldest", (Elder,), {}).overrides("greeting")


def test_a_town_runs():
    town = Town(people=20, rng=3)
    for _ in range(4):
        town.step()
    assert town.agents.get("age") == [age + 4 for age in range(20)]
    assert any(debt != 0 for debt in town.agents.get("debt"))
