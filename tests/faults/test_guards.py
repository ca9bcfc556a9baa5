from benchmarks.guards import PACKAGE, ROOT, read_guards


def test_each_guard_stands_where_the_benchmark_takes_it_out():
    for guard in read_guards():
        assert (ROOT / PACKAGE / guard.file).read_text().count(guard.text) == 1, guard.name
        assert all((ROOT / test).is_file() for test in guard.tests), guard.name
