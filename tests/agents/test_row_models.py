"""Models of row agents: collecting data, saving, running, and what stays in memory."""

import copy
import gc
import pickle
import weakref

import mesa
import numpy as np
import pytest
from town import Elder, Person, Plain, Town, resident_memory

from citytwin.agents.compat import HAS_EVENTS
from citytwin.agents.rows import Column, RowAgent, RowModel


def ages(model):
    return model.agents.get("age")


def state(model):
    return model.agents.get(["unique_id", "age", "debt"]), model.steps, model.time, model.random.random()


class TestDataCollector:
    def test_model_agent_and_type_reporters(self):
        model = Town(people=3, rng=1)
        Elder.create_agents(model, 2, age=[80, 90])
        model.datacollector = mesa.DataCollector(
            model_reporters={"mean": lambda m: m.agents.agg("age", np.mean), "number": lambda m: len(m.agents)},
            agent_reporters={"age": "age", "double": lambda a: 2 * a.age},
            agenttype_reporters={Elder: {"wisdom": "wisdom"}, Person: {"mood": "mood"}},
        )
        model.step()
        model.step()
        collector = model.datacollector
        frame = collector.get_model_vars_dataframe()
        assert frame["mean"].tolist() == [np.mean([1, 2, 3, 81, 91]), np.mean([2, 3, 4, 82, 92])]
        assert frame["number"].tolist() == [5, 5]
        frame = collector.get_agent_vars_dataframe()
        assert frame["age"].tolist() == [1, 2, 3, 81, 91, 2, 3, 4, 82, 92]
        assert (frame["double"] == 2 * frame["age"]).all()
        assert frame.index.tolist() == [(step, uid) for step in (1, 2) for uid in range(1, 6)]
        assert collector.get_agenttype_vars_dataframe(Elder)["wisdom"].tolist() == [7] * 4
        assert collector.get_agenttype_vars_dataframe(Person)["mood"].tolist() == [0.5] * 6
        assert type(collector.model_vars["mean"][0]) is float

    def test_reporters_of_a_base_class_find_all(self):
        model = Town(people=2, rng=1)
        Elder.create_agents(model, 1, age=80)
        model.datacollector = mesa.DataCollector(agenttype_reporters={RowAgent: {"age": "age"}})
        model.step()
        assert model.datacollector.get_agenttype_vars_dataframe(RowAgent)["age"].tolist() == [1, 2, 81]


class TestSaving:
    @pytest.mark.parametrize("save", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))], ids=["copy", "pickle"])
    def test_a_saved_model_goes_on_as_the_first_would(self, save):
        model = Town(people=12, rng=4)
        Elder.create_agents(model, 3, age=70)
        model.table(Person).attach("viral_load", Column("f8", 2.0))
        for _ in range(3):
            model.step()
        model.agents[4].remove()
        saved = save(model)
        undisturbed = save(model)
        assert saved.agents.get("age") == model.agents.get("age")
        for _ in range(3):
            saved.step()
        Person(saved, age=1)
        after = state(saved)
        assert model.steps == 3
        for _ in range(3):
            model.step()
        Person(model, age=1)
        assert state(model) == after
        assert undisturbed.steps == 3
        assert saved.table(Person).columns["viral_load"].tolist() == [2.0] * 13
        assert saved.datacollector.model_vars == model.datacollector.model_vars

    def test_a_model_saved_in_its_step_goes_on(self):
        class Saver(Town):
            def step(self):
                super().step()
                if self.steps == 2:
                    self.saved = copy.deepcopy(self)

        model = Saver(people=5, rng=1)
        for _ in range(4):
            model.step()
        saved = model.saved
        while saved.steps < 4:
            saved.step()
        assert ages(saved) == ages(model) == [4, 5, 6, 7, 8]

    def test_room_to_grow_is_not_saved(self):
        model = RowModel(rng=1)
        people = Person.create_agents(model, 100_000)
        small = len(pickle.dumps(model))
        Person(model)
        assert len(pickle.dumps(model)) < small + 2_000
        assert len(people) == 100_000


class TestBatchRun:
    def test_mesa_runs_a_batch(self):
        # Mesa 3.3 counts runs by iterations, 3.5 by seeds; the last collected step is reported by both.
        how = {"rng": [1, 2]} if HAS_EVENTS else {"iterations": 2}
        rows = mesa.batch_run(Town, {"people": [4, 6]}, max_steps=3, display_progress=False, number_processes=1, **how)
        assert [row["people"] for row in rows] == [4, 6, 4, 6]
        steps = 3 if HAS_EVENTS else 4
        assert [row["age"] for row in rows] == [np.mean(range(n)) + steps for n in (4, 6, 4, 6)]


class TestIsolation:
    def test_two_models_never_see_each_other(self):
        first, second = RowModel(rng=1), RowModel(rng=1)
        Person.create_agents(first, 3, age=[1, 2, 3])
        Person.create_agents(second, 4, age=[11, 12, 13, 14])
        assert first.agents.get(["unique_id", "age"]) == [[1, 1], [2, 2], [3, 3]]
        assert second.agents.get(["unique_id", "age"]) == [[1, 11], [2, 12], [3, 13], [4, 14]]
        first.agents.do("birthday")
        first.agents[0].remove()
        assert ages(first) == [3, 4]
        assert ages(second) == [11, 12, 13, 14]
        assert first.table(Person) is not second.table(Person)
        assert not (set(first.agents) & set(second.agents))

    def test_ordinary_agents_count_per_model(self):
        for _ in range(2):
            model = RowModel(rng=1)
            assert [agent.unique_id for agent in Plain.create_agents(model, 2)] == [1, 2]
            assert Person.create_agents(model, 2).get("unique_id") == [3, 4]
            assert Plain(model).unique_id == 5
        plain = mesa.Model(rng=1)
        assert [Plain(plain).unique_id for _ in range(3)] == [1, 2, 3]


class TestMemory:
    @pytest.mark.parametrize("kind", [Person, Plain])
    def test_models_are_let_go(self, kind):
        models, memory = [], []
        for _ in range(20):
            model = Town(people=0, rng=1)
            kind.create_agents(model, 10_000)
            model.step()
            models.append(weakref.ref(model))
            del model
            gc.collect()
            memory.append(resident_memory())
        assert [ref() for ref in models] == [None] * 20
        assert memory[-1] - memory[1] < 5  # MB

    def test_a_thousand_models_do_not_add_up(self):
        def build_and_run():
            model = Town(people=2_000, rng=1)
            model.agents.select(where=lambda p: p.age > 50).do("random_float", "mask")
            model.step()
            model.remove_all_agents()

        memory = []
        for number in range(1_000):
            build_and_run()
            if number % 100 == 99:
                gc.collect()
                memory.append(resident_memory())
        assert memory[-1] - memory[0] < 5  # MB

    def test_a_million_agents_cost_their_columns_and_little_more(self):
        model = RowModel(rng=1)
        values = np.arange(1_000_000) % 100
        gc.collect()
        before = resident_memory()
        people = Person.create_agents(model, 1_000_000, age=values)
        columns = sum(column.nbytes for column in model.table(Person).columns.values()) / 1e6
        assert columns == 14
        assert resident_memory() - before < columns + 40  # MB
        assert len(people) == 1_000_000


class TestTime:
    def test_the_clock_counts_steps(self):
        model = Town(people=2, rng=1)
        assert (model.time, model.steps) == (0, 0)
        model.step()
        assert (model.time, model.steps) == (1, 1)
        model.run_for(2)
        assert (model.time, model.steps, ages(model)) == (3, 3, [3, 4])
        model.run_until(5)
        assert (model.time, model.steps) == (5, 5)

    def test_events_of_a_citizen_happen_in_time(self):
        model = Town(people=2, rng=1)
        model.schedule_event(model.agents[0].birthday, at=1.5)
        gc.collect()
        model.step()
        assert ages(model) == [1, 2]
        model.step()
        assert ages(model) == [3, 3]

    def test_events_come_in_the_order_of_time_then_of_scheduling(self):
        model = Clock(rng=1)
        for number, at in enumerate([2.0, 1.0, 0.5, 2.0, 1.0]):
            model.schedule_event(Note(model, number).write, at=at)
        gc.collect()
        model.run_for(2)
        assert model.log == [(0.5, 2), (1.0, "step"), (1.0, 1), (1.0, 4), (2.0, "step"), (2.0, 0), (2.0, 3)]

    def test_part_of_a_step(self):
        model = Clock(rng=1)
        model.schedule_event(Note(model, "a").write, after=0.25)
        model.run_for(0.5)
        assert (model.time, model.steps, model.log) == (0.5, 0, [(0.25, "a")])
        model.step()
        assert (model.time, model.steps) == (1.5, 1)
        assert model.log[-1] == (1.0, "step")

    def test_a_cancelled_event_does_not_happen(self):
        model = Clock(rng=1)
        model.schedule_event(Note(model, "a").write, at=0.5).cancel()
        model.step()
        assert model.log == [(1.0, "step")]

    def test_events_are_saved_with_the_model(self):
        model = Town(people=2, rng=1)
        model.schedule_event(model.agents[0].birthday, at=1.5)
        for saved in (pickle.loads(pickle.dumps(model)), copy.deepcopy(model)):
            gc.collect()
            saved.run_for(2)
            assert ages(saved) == [3, 3]
        assert ages(model) == [0, 1]

    def test_wrong_events_are_refused(self):
        model = Clock(rng=1)
        model.step()
        with pytest.raises(ValueError, match=r"time 0\.5 is past, the clock stands at 1"):
            model.schedule_event(model.step, at=0.5)
        with pytest.raises(ValueError, match="exactly one of 'at' and 'after'"):
            model.schedule_event(model.step)
        with pytest.raises(ValueError, match="exactly one of 'at' and 'after'"):
            model.schedule_event(model.step, at=2, after=1)
        with pytest.raises(ValueError, match="give a named function"):
            model.schedule_event(lambda: None, at=2)
        with pytest.raises(TypeError, match="cannot be called"):
            model.schedule_event("step", at=2)


class Clock(RowModel):
    """Writes down what happens when."""

    def __init__(self, rng=None):
        super().__init__(rng=rng)
        self.log = []

    def step(self):
        self.log.append((self.time, "step"))


class Note:
    def __init__(self, model, what):
        self.model, self.what = model, what

    def write(self):
        self.model.log.append((self.model.time, self.what))


class TestScenario:
    def test_a_model_may_keep_any_scenario(self):
        model = RowModel(rng=1)
        scenario = ("a", "tuple")
        model.scenario = scenario
        assert model.scenario is scenario
