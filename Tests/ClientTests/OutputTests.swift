import APIClient
import APIContract
import Testing

@testable import roost

struct OutputTests {
    private let names = NameBook(["h-1": "h1", "h-2": "h2", "i-1": "debian"])
    private let age = Age(serverTime: WireTime.seconds(rfc3339: "2026-01-01T01:00:00Z"))

    private func vm(
        _ name: String, state: String, host: String? = nil, waitingFor: WaitingFor? = nil, stopCause: String? = nil,
        expungeAt: String? = nil, conflicts: [DomainSighting] = []
    ) -> VMResource {
        VMResource(
            id: "id-" + name, name: name, state: state, stopCause: stopCause, host: host, lastHost: host, epoch: 7,
            cpus: 2, memory: 512, image: "i-1", operation: nil, waitingFor: waitingFor,
            expungeAt: expungeAt, conflicts: conflicts,
            revision: 3, createdAt: "2026-01-01T00:00:00.000Z", updatedAt: "2026-01-01T00:00:00.000Z")
    }

    @Test func `a table of VMs shows names, what is waited for, and conflicts`() {
        let sighting = DomainSighting(
            vm: "id-db", host: "h-2", epoch: 3, state: "running", seenAt: "2026-01-01T00:59:00Z")
        let vms = [
            vm("web", state: "stopping", host: "h-1", waitingFor: WaitingFor(host: "h-1", reason: "host-disconnected")),
            vm("db", state: "running", host: "h-1", conflicts: [sighting]),
            vm("old", state: "stopped", stopCause: "guest-shutdown"), vm("new", state: "created"),
        ]
        let table = Table.render(vms, columns: VMResource.columns(names, age), isWide: false)
        #expect(
            table == """
                NAME   STATE                                        HOST   CPUS   MEMORY    IMAGE    AGE
                web    stopping (waits for h1: host-disconnected)   h1     2      512 MiB   debian   60m
                db     running CONFLICT: running on h2              h1     2      512 MiB   debian   60m
                old    stopped (guest-shutdown)                     -      2      512 MiB   debian   60m
                new    created                                      -      2      512 MiB   debian   60m

                """)
    }

    @Test func `a VM names the job that needs attention, and what can be done about it`() {
        var stuck = vm("web", state: "stopping", host: "h-1")
        stuck.needsAttention = [
            ParkedJob(job: "j-1", kind: "stop-vm", host: "h-1", error: "It broke off.", hint: "roost gc run j-1")
        ]
        #expect(stuck.stateText(names) == "stopping NEEDS ATTENTION: stop-vm j-1")
        let facts = stuck.facts(names)
        #expect(facts.contains { $0.name == "NEEDS ATTENTION" && $0.value == "stop-vm j-1: It broke off." })
        #expect(facts.contains { $0.name == "hint" && $0.value == "roost gc run j-1" })
    }

    @Test func `a GC job shows its first and its last error with their times, and what a dry run found`() {
        var job = GCJobResource(
            id: "j-1", kind: "stop-vm", vm: "v", host: "h-1", epoch: 2, mode: "cold", state: "needs-attention",
            outcome: nil, attempts: 3, firstError: "first", firstErrorAt: "t1", lastError: "last", lastErrorAt: "t2",
            nextAttemptAt: nil, owner: nil, revision: 2, createdAt: "c", updatedAt: "u", endedAt: nil)
        let facts = Table.render(facts: job.facts(names))
        for line in ["first error", "first error at", "last error", "last error at"] { #expect(facts.contains(line)) }
        for value in ["first\n", "t1\n", "last\n", "t2\n", "needs-attention\n"] { #expect(facts.contains(value)) }
        job.wouldHappen = ["one", "two"]
        let found = job.rehearsal("tried now")
        #expect(found == ["Nothing was changed. GC job j-1 would be tried now:", "  - one", "  - two"])
    }

    @Test func `what is left of a VM says how long, or for whom it waits`() {
        let kept = vm("old", state: "destroyed", expungeAt: "2026-01-02T00:00:00.000Z")
        #expect(kept.stateText(names) == "destroyed (kept until 2026-01-02T00:00:00.000Z)")
        #expect(kept.facts(names).contains { $0.name == "kept until" && $0.value.hasPrefix("2026-01-02") })
        let going = vm(
            "gone", state: "expunging", waitingFor: WaitingFor(host: "h-1", reason: "host-disconnected"))
        #expect(going.stateText(names) == "expunging (waits for h1: host-disconnected)")
        #expect(kept.isDestroyed && going.isDestroyed)
        #expect(!vm("web", state: "stopped").isDestroyed)
    }

    @Test func `a wide table shows more, and an id without a name as it is`() {
        let table = Table.render(
            [vm("web", state: "running", host: "h-9")], columns: VMResource.columns(names, age), isWide: true)
        #expect(table.contains("LAST HOST"))
        #expect(table.contains("h-9"))
        #expect(table.contains("id-web"))
    }

    @Test func `the plan of a drain says where each VM goes, or what keeps it`() {
        func planned(_ name: String, _ verdict: String, to target: String? = nil, _ reason: String? = nil) -> PlannedVM
        {
            PlannedVM(
                id: "id-" + name, name: name, state: "running", cpus: 2, memory: 512, verdict: verdict, target: target,
                code: nil, reason: reason)
        }
        let vms = [
            planned("db", "immovable", "No room."), planned("web", "moves", to: "h-2"),
            planned("old", "leaves", to: "h-1"), planned("end", "leaves"), planned("lost", "waits", "It is unknown."),
        ]
        let table = Table.render(vms, columns: PlannedVM.columns(names, stopsImmovable: false), isWide: false)
        #expect(
            table == """
                VM     STATE     CPUS   MEMORY    PLAN              WHY
                db     running   2      512 MiB   stays             No room.
                web    running   2      512 MiB   moves to h2       -
                old    running   2      512 MiB   is moving to h1   -
                end    running   2      512 MiB   is stopping       -
                lost   running   2      512 MiB   stays for now     It is unknown.

                """)
        #expect(vms[0].plan(names, stopsImmovable: true) == "is stopped")
        let staying = DrainedVM(
            id: "v", name: "db", stage: "staying", target: nil, operation: nil, code: nil, reason: "No room.")
        #expect(staying.text(names) == "db stays: No room.")
    }

    @Test func `an empty table is its heading`() {
        let columns = [Column<Int>("A") { String($0) }, Column<Int>("BEE") { String($0) }]
        #expect(Table.render([], columns: columns, isWide: false) == "A   BEE\n")
    }

    @Test func `text from elsewhere cannot steer the terminal`() {
        #expect(TerminalText.visible("a\u{1b}[2Jb\nc\u{9b}d\u{202e}e") == "a [2Jb c d e")
        let bytes = Array("\u{1b}[2J\u{1b}]0;title\u{7}ok\r\n\u{1b}[1;31mred\u{1b}[0m\u{7}\u{1b}Pq\u{1b}\\é\n".utf8)
        let expected = Array("ok\r\nredé\n".utf8)
        var whole = TerminalText()
        #expect(whole.plain(bytes) == expected)
        var pieces = TerminalText()
        #expect(bytes.flatMap { pieces.plain([$0]) } == expected)
    }

    @Test(arguments: [(0, "0s"), (119, "119s"), (120, "2m"), (7_200, "2h"), (172_800, "2d"), (-5, "0s")])
    func `an age is shown in one unit`(_ seconds: Double, _ expected: String) {
        #expect(Age.text(seconds) == expected)
    }

    @Test func `a size is shown in the unit that fits`() {
        #expect(ImageFileResource.sizeText(1_023) == "1023 B")
        #expect(ImageFileResource.sizeText(1_536) == "1.5 KiB")
        #expect(ImageFileResource.sizeText(5 << 30) == "5.0 GiB")
        #expect(ImageFileResource.sizeText(.max).hasSuffix(" EiB"))
    }

    @Test func `YAML keeps order, types and strings that look like something else`() throws {
        let json =
            #"{"name":"web","host":null,"epoch":7,"on":"yes","n":"12","empty":"","list":[],"map":{},"#
            + #""items":[{"a":true},"x: y","two\nlines","ü"],"big":12345678901234567890}"#
        #expect(
            try YAMLText.render(json: json) == """
                name: web
                host: null
                epoch: 7
                "on": "yes"
                n: "12"
                empty: ""
                list: []
                map: {}
                items:
                - a: true
                - 'x: y'
                - "two\\nlines"
                - ü
                big: 12345678901234567890

                """)
    }

    @Test func `a list that came in one page is what the API wrote, and one that came in more is one list`() throws {
        let documents = try [1, 2, 3].map { try JSONValue(parsing: #"{"id":\#($0)}"#) }
        let one = Listing(items: [1, 2, 3], documents: documents, wholeText: "{ \"items\": … }", serverTime: nil)
        #expect(one.text == "{ \"items\": … }")
        #expect(one.filtered { $0 < 9 }.text == one.text)
        #expect(one.filtered { $0 != 2 }.text == #"{"items":[{"id":1},{"id":3}],"nextCursor":null}"#)
    }

    @Test func `a recovery is shown with what differs, and what is empty is left out`() {
        let seen = DomainSighting(vm: "v-1", host: "h-2", epoch: 4, state: "running", seenAt: "2026-01-02T00:00:00Z")
        var recovery = RecoveryResource(
            state: "observing", since: "2026-01-01T23:59:00Z", reason: "A copy.", generation: 0,
            hosts: [AwaitedHost(id: "h-3", name: "h3", lastSeenAt: nil)],
            vms: [
                DifferingVM(
                    id: "v-1", name: "web", state: "unknown", host: "h-1", epoch: 3, seen: [seen], fate: "adopted",
                    why: "h2 shows it running with epoch 4: it is taken up there.")
            ], domains: [seen],
            jobs: [
                RestoredJob(
                    id: "j-1", kind: "stop-vm", vm: "v-1", host: "h-1", epoch: 3, doing: "Stops it.", fate: "superseded"
                )
            ])
        let age = Age(serverTime: WireTime.seconds(rfc3339: "2026-01-02T00:00:00Z"))
        let text = recovery.text(at: age)
        #expect(
            text == """
                state:       observing, changes nothing
                why:         A copy.
                for:         60s
                NOT HEARD:   h3: not since the records were restored
                go on:       roost recover --accept

                VM    RECORDED   EPOCH   THEN      WHY
                web   unknown    3       adopted   h2 shows it running with epoch 4: it is taken up there.

                DOMAIN WITHOUT A RECORD   HOST   EPOCH   STATE
                v-1                       h-2    4       running

                JOB   KIND      EPOCH   THEN         WOULD
                j-1   stop-vm   3       superseded   Stops it.

                """)
        recovery = RecoveryResource(
            state: "acting", since: nil, reason: nil, generation: 1, hosts: [], vms: [], domains: [], jobs: [])
        #expect(recovery.text(at: age) == "state:   acting\n")
    }

    @Test func `a fleet's status names what waits and what is wrong`() throws {
        let status = FleetStatus(
            server: "http://127.0.0.1:7080", version: "1",
            hosts: [],
            vms: [
                vm(
                    "web", state: "stopping", host: "h-1",
                    waitingFor: WaitingFor(host: "h-1", reason: "host-disconnected")),
                vm("db", state: "running"),
            ], jobs: [],
            nodes: [
                NodeResource(
                    id: "a-1", name: "a", version: "1", startedAt: "2026-01-01T00:00:00Z",
                    seenAt: "2026-01-01T00:00:58Z", lag: 2, hosts: ["h-1"], waitingErrands: 3,
                    errandsSince: "2026-01-01T00:00:50Z"),
                NodeResource(
                    id: "b-1", name: "b", version: "2", startedAt: "2026-01-01T00:00:00Z",
                    seenAt: "2026-01-01T00:00:00Z", lag: nil, hosts: [], waitingErrands: 0, errandsSince: nil),
            ], recovery: "observing",
            slow: [
                OperationResource(
                    id: "o-1", kind: "stop", vm: "web", host: "h-1", epoch: 1, state: "pending", outcome: nil,
                    progress: nil, error: nil, attempts: 3, lastError: "Host h1 cannot be reached.",
                    requestedBy: "admin", revision: 1, createdAt: "2025-12-31T23:56:00Z",
                    updatedAt: "2026-01-01T00:00:00Z", endedAt: nil)
            ], age: Age(serverTime: WireTime.seconds(rfc3339: "2026-01-01T00:01:00Z")))
        let lines = status.facts.map { "\($0.name): \($0.value)" }
        for line in [
            "OBSERVING: restored records wait to be accepted: see 'roost recover'",
            "node: a, version 1, heard 2s ago, 1 session", "node: b, version 2, up for 60s, 0 sessions",
            "STUCK: 3 questions for node a, for 10s",
            "STUCK: stop web pending for 5m (operation o-1): Host h1 cannot be reached.",
        ] { #expect(lines.contains(line), "\(line): \(lines)") }
        #expect(
            status.document["nodes"]?.text
                == #"[{"name":"a","version":"1","lag":2,"sessions":1,"waitingErrands":3},"#
                + #"{"name":"b","version":"2","lag":null,"sessions":0,"waitingErrands":0}]"#)
        #expect(status.document["slowOperations"]?.text == #"["o-1"]"#)
        #expect(status.document["state"]?.text == #""observing""#)
        #expect(status.facts.contains { $0.name == "WAITING" && $0.value.hasPrefix("web stopping (waits for") })
        #expect(status.document["vms"]?.text == #"{"running":1,"stopping":1}"#)
    }
}
