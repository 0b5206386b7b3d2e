import simpy

from sim.components.ingest import Ingest


def ask(at_s, *, places=100, limit=2.0, burst=3, wait_limit=1.0):
    env = simpy.Environment()
    admitted, refused = [], []
    ingest = Ingest(
        env,
        auth_limit_per_s=limit,
        auth_burst=burst,
        auth_wait_limit_s=wait_limit,
        places=places,
        on_admitted=lambda b: admitted.append((env.now, b)),
        on_refused=lambda b, why: refused.append((env.now, b, why)),
    )

    def come():
        for broadcast, moment_s in enumerate(at_s):
            yield env.timeout(moment_s - env.now)
            ingest.request(broadcast)

    env.process(come())
    env.run()
    return admitted, refused, ingest


def test_a_burst_passes_then_tokens_come_at_the_rate():
    admitted, refused, _ = ask([0.0] * 6)
    assert admitted == [(0.0, 0), (0.0, 1), (0.0, 2), (0.5, 3), (1.0, 4)]
    assert refused == [(0.0, 5, "refused: auth limit")]


def test_tokens_gather_up_to_the_burst_and_no_further():
    admitted, _, _ = ask([100.0] * 5)
    assert [at for at, _ in admitted] == [100.0, 100.0, 100.0, 100.5, 101.0]


def test_the_long_run_rate_is_the_limit():
    admitted, refused, _ = ask([0.1 * n for n in range(200)])
    assert len(admitted) + len(refused) == 200
    assert len(admitted) in range(43, 47)  # 20 s at 2/s, the burst, and those still waiting


def test_full_nodes_refuse_after_the_auth_answer():
    admitted, refused, ingest = ask([0.0, 0.0, 0.0], places=2)
    assert len(admitted) == 2
    assert refused == [(0.0, 2, "refused: ingest full")]
    assert ingest.connected == 2
