"""Sets of row agents answer as Mesa's sets of ordinary agents do."""

import copy
import pickle

import mesa
import numpy as np
import pytest
from mesa.agent import AgentSet
from town import Elder, Person, Plain

from citytwin.agents.rows import AllAgents, RowModel, RowSet

AGES = [33, 5, 70, 5, 41, 18, 70]


@pytest.fixture
def model():
    return RowModel(rng=1)


@pytest.fixture
def people(model):
    return Person.create_agents(model, len(AGES), age=AGES, debt=range(len(AGES)))


class TestAsMesa:
    def test_it_is_an_agent_set(self, people):
        assert isinstance(people, AgentSet)
        assert isinstance(people, RowSet)
        assert len(people) == len(AGES)
        assert [person.age for person in people] == AGES
        assert [person.age for person in reversed(people)] == AGES[::-1]

    def test_indexing(self, people):
        assert (people[0].age, people[-1].age) == (33, 70)
        assert [person.age for person in people[1:4]] == [5, 70, 5]
        assert people.to_list() == list(people)
        with pytest.raises(IndexError):
            _ = people[len(AGES)]

    def test_membership(self, model, people):
        stranger = Person(RowModel(rng=1))
        late = Person(model)
        for chosen in (people, people.shuffle()):
            assert people[2] in chosen
            assert late not in chosen
            assert stranger not in chosen
            assert "somebody" not in chosen

    def test_select(self, people):
        assert people.select(lambda p: p.age > 30).get("age") == [33, 70, 41, 70]
        assert people.select(lambda p: p.age > 30, at_most=2).get("age") == [33, 70]
        assert people.select(at_most=3).get("age") == [33, 5, 70]
        assert people.select(at_most=0.5).get("age") == [33, 5, 70]
        assert people.select(at_most=1.0).get("age") == AGES
        assert people.select(agent_type=Person).get("age") == AGES
        assert people.select(agent_type=Elder).get("age") == []
        assert people.select() == people
        assert people.select() is not people

    def test_select_where(self, people):
        assert people.select(where=lambda p: p.age > 30).get("age") == [33, 70, 41, 70]
        assert people.select(where=lambda p: (p.age > 30) & (p.debt < 4), at_most=1).get("age") == [33]
        assert people.select(where=np.array(AGES) == 5).get("debt") == [1, 3]
        assert people.select(lambda p: p.debt > 2, where=lambda p: p.age == 5).get("debt") == [3]
        assert people.select(where=lambda p: p.unique_id > 6).get("age") == [70]
        assert people.select(where=lambda p: p.decade == 7).get("age") == [70, 70]

    def test_where_computes_with_whole_numbers_that_do_not_wrap(self, people):
        assert people.select(where=lambda p: p.age - 50 > 0).get("age") == [70, 70]
        assert people.select(where=lambda p: p.age * 10 == 700).get("age") == [70, 70]

    @pytest.mark.parametrize("where", [True, [True, False], lambda p: p.age, lambda p: p.age.sum() > 3])
    def test_where_must_give_one_truth_an_agent(self, people, where):
        with pytest.raises(
            ValueError, match=r"one True or False for each of 7 agents wanted, got \w+ of shape .* c\.age > 60"
        ):
            people.select(where=where)

    def test_where_names_an_unknown_column(self, people):
        with pytest.raises(AttributeError, match="Person has no column 'height'"):
            people.select(where=lambda p: p.height > 1)

    def test_inplace(self, people):
        assert people.select(lambda p: p.age > 30, inplace=True) is people
        assert people.get("age") == [33, 70, 41, 70]
        people.sort("age", ascending=True, inplace=True)
        assert people.get("age") == [33, 41, 70, 70]
        people.shuffle(inplace=True)
        assert sorted(people.get("age")) == [33, 41, 70, 70]
        assert people.select(inplace=True) is people

    def test_sort(self, people):
        order = sorted(range(len(AGES)), key=AGES.__getitem__)
        falling = sorted(range(len(AGES)), key=AGES.__getitem__, reverse=True)
        assert people.sort("age", ascending=True).get("debt") == order
        assert people.sort("age").get("debt") == falling
        assert people.sort(lambda p: p.age).get("debt") == falling
        assert people.sort("decade").get("age") == [70, 70, 41, 33, 18, 5, 5]

    def test_shuffle_is_that_of_mesa(self, people):
        plain = mesa.Model(rng=1)
        Plain.create_agents(plain, len(AGES), age=AGES)
        assert people.shuffle().get("age") == plain.agents.shuffle().get("age")

    def test_groupby(self, people):
        groups = people.groupby("age")
        assert list(groups.groups) == [33, 5, 70, 41, 18]
        assert groups.count() == {33: 1, 5: 2, 70: 2, 41: 1, 18: 1}
        assert groups.agg("debt", sum) == {33: 0, 5: 4, 70: 8, 41: 4, 18: 5}
        assert people.groupby(lambda p: p.age >= 18).agg("age", max) == {True: 70, False: 5}
        assert people.groupby("decade").count() == {3: 1, 0: 2, 7: 2, 4: 1, 1: 1}
        assert people.groupby("well").map(len) == {True: 7}
        lists = people.groupby("age", result_type="list")
        assert [person.debt for person in lists.groups[70]] == [2, 6]
        assert lists.agg("debt", sum)[70] == 8
        assert all(isinstance(group, RowSet) for _, group in groups)
        assert people.select(at_most=0).groupby("age").count() == {}

    def test_groups_over_a_wide_range(self, model):
        values = [2**40, -(2**40), 0, 2**40]
        people = Person.create_agents(model, 4, debt=values)
        assert people.groupby("debt").agg("unique_id", list) == {2**40: [1, 4], -(2**40): [2], 0: [3]}

    def test_get_set_map(self, people):
        assert people.get("decade") == [3, 0, 7, 0, 4, 1, 7]
        assert people.get(["age", "unique_id"]) == [[age, uid] for uid, age in enumerate(AGES, 1)]
        assert people.get("height", handle_missing="default", default_value=1.8) == [1.8] * 7
        assert people.get(["age", "height"], handle_missing="default")[0] == [33, None]
        with pytest.raises(AttributeError, match="Person has no column 'height'"):
            people.get("height")
        with pytest.raises(ValueError, match="handle_missing must be"):
            people.get("height", handle_missing="maybe")
        assert people.map("greeting", word="hi")[0] == "hi 33"
        assert people.map(lambda p, factor: p.age * factor, 2) == [2 * age for age in AGES]
        assert people.set("mood", 0.25) is people
        assert people.set("age", np.arange(7)).get(["age", "mood"]) == [[age, 0.25] for age in range(7)]
        with pytest.raises(ValueError, match=r"Person\.age: value 256"):
            people.set("age", 256)
        with pytest.raises(AttributeError, match="Person has no column 'height'"):
            people.set("height", 1.8)

    def test_set_reaches_the_chosen_only(self, people):
        people.select(where=lambda p: p.age == 70).set("debt", [100, 200])
        assert people.get("debt") == [0, 1, 100, 3, 4, 5, 200]

    def test_do(self, people):
        assert people.do("birthday") is people
        assert people.get("age") == [age + 1 for age in AGES]
        people.do(lambda p, years: setattr(p, "age", p.age + years), years=2)
        assert people.get("age") == [age + 3 for age in AGES]

    def test_agg_gives_what_python_gives(self, people):
        decades = [age // 10 for age in AGES]
        for name, values in (("age", AGES), ("mood", [0.5] * 7), ("debt", list(range(7))), ("decade", decades)):
            for function in (sum, min, max, len, sorted, np.mean, np.std, np.sum, np.median, np.diff):
                answer = people.agg(name, function)
                assert np.array_equal(answer, function(values)), (name, function)
                assert not isinstance(answer, np.generic)
        assert people.agg("age", [min, max]) == [5, 70]
        assert people.agg("age", sum) == 242

    def test_sums_do_not_wrap(self, model):
        assert Person.create_agents(model, 10, age=255).agg("age", sum) == 2550

    def test_columns_are_copies_in_their_own_type(self, people):
        column = people.column("age")
        column[:] = 0
        assert (column.dtype, people.get("age")) == (np.uint8, AGES)
        with pytest.raises(AttributeError, match="Person has no column 'height'"):
            people.column("height")

    def test_as_a_set(self, people):
        young, old = people.select(lambda p: p.age < 41), people.select(lambda p: p.age > 30)
        assert (young & old).get("age") == [33]
        assert (young | old) == people
        assert (people - old).get("age") == [5, 5, 18]
        assert (young ^ old).agg("age", len) == 6
        assert young.isdisjoint(people - young)
        assert (young & (people - young)).get("age") == []
        person = people[4]
        young.add(person)
        young.add(person)
        assert young.get("age") == [33, 5, 5, 18, 41]
        young.remove(person)
        young.discard(person)
        assert young.get("age") == [33, 5, 5, 18]
        with pytest.raises(KeyError):
            young.remove(person)
        assert person.is_alive
        young |= old
        assert len(young) == 7
        young.clear()
        assert (len(young), len(people)) == (0, 7)
        young.add(person)
        assert young.get("age") == [41]

    def test_a_set_of_one_class_stays_one(self, model, people):
        with pytest.raises(TypeError, match="a set of Person agents cannot hold others"):
            people.add(Elder(model))
        with pytest.raises(ValueError, match="lives in another model"):
            people.add(Person(RowModel(rng=1)))

    def test_copies(self, people):
        for twin in (copy.copy(people), people.copy()):
            twin.select(at_most=2, inplace=True)
            assert (len(twin), len(people)) == (2, 7)
        saved = pickle.loads(pickle.dumps(people.select(where=lambda p: p.age > 30)))
        assert saved.get("age") == [33, 70, 41, 70]
        assert saved.model is not people.model
        assert saved[0] in saved.model.agents
        assert copy.deepcopy(people).get("age") == AGES

    def test_repr(self, people):
        assert repr(people) == "RowSet(7 × Person)"

    def test_mesas_own_weak_set_is_empty(self, people):
        weak = AgentSet(list(people), random=people.random)
        assert len(weak) == 0


class TestWhileGoingThrough:
    def test_agents_made_meanwhile_wait(self, model, people):
        model.agents.do(lambda p: Person(p.model, age=100))
        assert model.agents.get("age") == AGES + [100] * 7
        for person in model.agents:
            Elder(model, age=person.age)
        assert len(model.agents) == 28
        assert len(people) == 7

    def test_agents_removed_meanwhile_are_left_out(self, model, people):
        seen = []

        def eat_next(person):
            seen.append(person.debt)
            nxt = [p for p in model.agents if p.debt == person.debt + 1]
            for other in nxt:
                other.remove()

        people.do(eat_next)
        assert seen == [0, 2, 4, 6]
        assert people.get("debt") == [0, 2, 4, 6]

    def test_shuffle_do_leaves_them_out_too(self, model, people):
        seen = []

        def kill_the_rest(person):
            seen.append(person)
            (model.agents - [person]).do("remove")

        model.agents.shuffle_do(kill_the_rest)
        assert len(seen) == len(people) == 1
        assert people[0] == seen[0]

    def test_an_iterator_skips_the_removed(self, people):
        ages = []
        for person in people:
            ages.append(person.age)
            people[-1].remove()
        assert ages == AGES[:4]


class Stone(mesa.Agent):
    """An ordinary Mesa agent among rows."""

    def __init__(self, model, age):
        super().__init__(model)
        self.age = age

    def birthday(self):
        self.age += 1


def test_a_model_without_agents(model):
    assert (len(model.agents), list(model.agents), model.agent_types) == (0, [], [])
    model.table(Person)
    assert model.agent_types == []


@pytest.mark.usefixtures("stones")
class TestSeveralKinds:
    @pytest.fixture
    def stones(self, people):
        model = people.model
        stones = [Stone(model, 1000), Stone(model, 2000)]
        Elder.create_agents(model, 2, age=[90, 91])
        return stones

    def test_the_model_knows_all(self, model, people, stones):
        assert isinstance(model.agents, AllAgents)
        assert len(model.agents) == 11
        assert model.agents.get("age") == [*AGES, 90, 91, 1000, 2000]
        assert [agent.age for agent in model.agents] == model.agents.get("age")
        assert model.agent_types == [Person, Elder, Stone]
        assert {kind: len(agents) for kind, agents in model.agents_by_type.items()} == {Person: 7, Elder: 2, Stone: 2}
        assert len(set(model.agents.get("unique_id"))) == 11
        assert stones[0] in model.agents
        assert people[0] in model.agents
        assert Person(RowModel(rng=1)) not in model.agents

    def test_choosing(self, model):
        everyone = model.agents
        assert everyone.select(agent_type=Person).get("age") == [*AGES, 90, 91]
        assert isinstance(everyone.select(agent_type=Elder), RowSet)
        assert everyone.select(agent_type=Stone).get("age") == [1000, 2000]
        assert everyone.select(agent_type=mesa.Agent) == everyone
        assert everyone.select(lambda a: a.age >= 70).get("age") == [70, 70, 90, 91, 1000, 2000]
        assert everyone.select(where=lambda a: a.age >= 90, at_most=3).get("age") == [90, 91, 1000]
        assert everyone.select(agent_type=Elder, where=lambda e: e.wisdom == 7).get("age") == [90, 91]

    def test_ordering(self, model):
        ordered = model.agents.sort("age")
        assert ordered.get("age") == [2000, 1000, 91, 90, 70, 70, 41, 33, 18, 5, 5]
        assert [agent.age for agent in ordered] == ordered.get("age")
        assert [agent.age for agent in ordered[1:3]] == [1000, 91]
        mixed = model.agents.shuffle()
        assert sorted(mixed.get("age")) == sorted(ordered.get("age"))
        assert mixed.get("age") != model.agents.get("age")
        ordered.sort("age", ascending=True, inplace=True)
        assert ordered.get("age")[:3] == [5, 5, 18]

    def test_acting_and_values(self, model, stones):
        model.agents.do("birthday")
        model.agents.shuffle_do("birthday")
        assert model.agents.get("age") == [age + 2 for age in [*AGES, 90, 91, 1000, 2000]]
        assert model.agents.agg("age", max) == 2002
        ordered = model.agents.sort("age")
        ordered.set("age", np.arange(11))
        assert ordered.get("age") == list(range(11))
        assert [type(stone.age) for stone in stones] == [int, int]
        ordered.set("age", 3)
        assert set(model.agents.get("age")) == {3}
        assert model.agents.get("wisdom", handle_missing="default") == [None] * 7 + [7, 7] + [None] * 2
        with pytest.raises(AttributeError, match=r"has no .*'wisdom'"):
            model.agents.get("wisdom")
        assert model.agents.groupby("age").count() == {3: 11}
        assert model.agents.groupby(type).count() == {Person: 7, Elder: 2, Stone: 2}
        assert model.agents.groupby(type).agg("age", sum) == {Person: 21, Elder: 6, Stone: 6}
        assert model.agents.column("age").tolist() == [3] * 11

    def test_removing(self, model, stones):
        ordered = model.agents.sort("age")
        stones[1].remove()
        ordered[2].remove()
        assert ordered.get("age") == [1000, 91, 70, 70, 41, 33, 18, 5, 5]
        assert stones[1] not in ordered
        assert stones[0] in ordered
        assert len(model.agents) == len(ordered) == 9
        assert model.agents.get("age") == [*AGES, 91, 1000]

    def test_as_a_set(self, model, people, stones):
        both = people | [stones[0]]
        assert both.get("age") == [*AGES, 1000]
        assert stones[0] in both
        assert stones[1] not in both
        both.add(stones[1])
        both.discard(people[0])
        assert both.get("age") == [*AGES[1:], 1000, 2000]
        assert (model.agents - people).get("age") == [90, 91, 1000, 2000]
        assert model.set_of([stones[0], people[1], people[1]]).get("age") == [1000, 5]

    def test_saving(self, model):
        ordered = pickle.loads(pickle.dumps(model.agents.sort("age")))
        assert ordered.get("age") == [2000, 1000, 91, 90, 70, 70, 41, 33, 18, 5, 5]
        ordered[0].remove()
        assert (len(ordered), len(ordered.model.agents), len(model.agents)) == (10, 10, 11)

    @pytest.mark.parametrize("change", ["shuffle", "select", "sort", "add", "discard", "clear"])
    @pytest.mark.parametrize("which", ["agents", "by type"])
    def test_the_models_own_sets_cannot_be_changed(self, model, people, change, which):
        agents = model.agents if which == "agents" else model.agents_by_type[Person]
        changes = {
            "shuffle": lambda: agents.shuffle(inplace=True),
            "select": lambda: agents.select(at_most=1, inplace=True),
            "sort": lambda: agents.sort("age", inplace=True),
            "add": lambda: agents.add(Person(RowModel(rng=1))),
            "discard": lambda: agents.discard(people[0]),
            "clear": agents.clear,
        }
        with pytest.raises((TypeError, ValueError), match=r"the model's own .* work on a copy|lives in another model"):
            changes[change]()
        assert len(model.agents) == 11

    def test_the_models_sets_cannot_be_replaced(self, model):
        with pytest.raises(AttributeError):
            model.agents = []
