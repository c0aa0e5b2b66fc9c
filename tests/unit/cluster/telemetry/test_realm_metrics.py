from __future__ import annotations

from prometheus_client import CollectorRegistry

from cluster.telemetry.realm_metrics import Vitals, watch_vitals

INFO = {
    "used_memory": 1_000,
    "maxmemory": 0,
    "connected_clients": 7,
    "maxclients": 10_000,
    "total_commands_processed": 123,
    "evicted_keys": 0,
    "rejected_connections": 2,
    "rdb_last_bgsave_status": "ok",
    "aof_last_write_status": "ok",
    "redis_version": "7.2.4",
}


class TestVitals:
    def test_before_the_first_look_there_are_no_numbers(self) -> None:
        registry = CollectorRegistry()
        watch_vitals(registry, Vitals())
        assert registry.get_sample_value("rayrealm_redis_up") == 0
        assert registry.get_sample_value("rayrealm_redis_memory_bytes") is None
        assert registry.get_sample_value("rayrealm_edge_certificate_ends_seconds") is None

    def test_what_redis_says(self) -> None:
        registry, vitals = CollectorRegistry(), Vitals()
        watch_vitals(registry, vitals)
        vitals.look(INFO, {"zone": 3})
        vitals.certificate_ends = 1_800_000_000.0
        read = {
            "redis_up": 1,
            "redis_saving": 1,
            "redis_memory_bytes": 1_000,
            "redis_memory_limit_bytes": 0,
            "redis_clients": 7,
            "redis_clients_limit": 10_000,
            "redis_commands_total": 123,
            "redis_evicted_keys_total": 0,
            "redis_rejected_connections_total": 2,
            "edge_certificate_ends_seconds": 1_800_000_000.0,
        }
        assert {name: registry.get_sample_value(f"rayrealm_{name}") for name in read} == read
        assert registry.get_sample_value("rayrealm_epoch_refusals_total", {"kind": "zone"}) == 3

    def test_a_disk_that_takes_no_more(self) -> None:
        registry, vitals = CollectorRegistry(), Vitals()
        watch_vitals(registry, vitals)
        vitals.look({**INFO, "aof_last_write_status": "err"}, {})
        assert registry.get_sample_value("rayrealm_redis_saving") == 0
