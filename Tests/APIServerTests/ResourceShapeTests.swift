import APIContract
import Foundation
import Testing

@testable import APIServer

/// The tables that make the JSON agree with the contract that clients decode.
@Suite struct ResourceShapeTests {
    private func expectRoundTrip<Resource: Codable & Hashable>(
        _ shape: ResourceShape<Resource>, _ resource: Resource, sourceLocation: SourceLocation = #_sourceLocation
    ) throws {
        let json = shape.json(resource)
        let read = try JSONDecoder().decode(Resource.self, from: Data(json.encoded))
        #expect(read == resource, sourceLocation: sourceLocation)
        let coded = try JSONParser.parse(Array(JSONEncoder().encode(resource)))
        let missing = Set(coded.members.map(\.name)).subtracting(json.members.map(\.name))
        #expect(missing.isEmpty, sourceLocation: sourceLocation)
    }

    private let problem = Problem(
        type: "urn:x", title: "t", status: 409, detail: "d", code: "c", hint: "h", field: "f")
    private let sighting = DomainSighting(vm: "v", host: "h", epoch: 3, state: "running", seenAt: "t")

    @Test func `a VM with everything and with nothing`() throws {
        var vm = VMResource(
            id: "i", name: "n", state: "stopping", stopCause: "requested", host: "h", lastHost: "l", epoch: 7, cpus: 2,
            memory: 512, image: "im", operation: "o", waitingFor: WaitingFor(host: "h", reason: "host-disconnected"),
            expungeAt: "e", conflicts: [sighting],
            needsAttention: [ParkedJob(job: "j", kind: "k", host: "h", error: "e", hint: "t")], labels: ["app": "web"],
            placement: PlacementRulesResource(
                hostLabels: ["zone": "a"], affinity: ["app": "db"], antiAffinity: ["app": "web"]), revision: 4,
            createdAt: "c", updatedAt: "u")
        try expectRoundTrip(VMResource.shape, vm)
        vm.host = nil
        vm.waitingFor = nil
        vm.operation = nil
        vm.expungeAt = nil
        try expectRoundTrip(VMResource.shape, vm)
        #expect(VMResource.shape.json(vm)["host"] == .null)
        #expect(VMResource.shape.json(vm)["waitingFor"] == .null)
    }

    @Test func `a host with everything`() throws {
        try expectRoundTrip(
            HostResource.shape,
            HostResource(
                id: "i", name: "n", state: "enabled", connection: "connected", session: 3, node: "n1", lastSeenAt: "s",
                capacity: HostCapacity(cpus: 4, memory: 8192), allocatable: HostCapacity(cpus: 16, memory: 8000),
                allocated: HostCapacity(cpus: 1, memory: 128),
                agentVersion: "1",
                hypervisor: HypervisorResource(
                    domainType: "kvm", reason: "r", libvirtVersion: "9", qemuVersion: "7"),
                libvirtAnswers: true, bootID: "b", pool: "p", fencedAt: "f", deletedAt: "d", sightings: [sighting],
                labels: ["zone": "a"], revision: 9, createdAt: "c", updatedAt: "u"))
        try expectRoundTrip(
            AddedHost.shape, AddedHost(id: "i", name: "n", joinToken: "t", expiresAt: "e", command: "c"))
        try expectRoundTrip(
            DeletedHost.shape,
            DeletedHost(id: "i", name: "n", unresolvedVMs: ["a"], cancelledJobs: ["b"], sightings: [sighting]))
    }

    @Test func `a placement with a host that fits and one that does not`() throws {
        let score = PlacementScoreResource(freeMemory: 900, freeCPUs: 1000)
        try expectRoundTrip(
            PlacementResource.shape,
            PlacementResource(
                host: "i",
                hosts: [
                    PlacementHost(
                        id: "i", name: "n", fits: true, freeCPUs: 3, freeMemory: 5, score: score, code: nil, reason: nil
                    ),
                    PlacementHost(
                        id: "j", name: "m", fits: false, freeCPUs: -1, freeMemory: -5, score: score,
                        code: "no-capacity",
                        reason: "r"),
                ]))
    }

    @Test func `an orphan that is a domain and one that is a file`() throws {
        let domain = OrphanResource(
            kind: "domain", vm: "v", epoch: 7, name: "n", state: "running", cpus: 1, memory: 2, bytes: nil,
            reason: "no-record", why: "w")
        try expectRoundTrip(OrphanResource.shape, domain)
        let file = OrphanResource(
            kind: "root-disk", vm: "v", epoch: nil, name: nil, state: nil, cpus: nil, memory: nil, bytes: 1 << 40,
            reason: "no-record", why: "w")
        try expectRoundTrip(OrphanResource.shape, file)
    }

    @Test func `an image with files`() throws {
        try expectRoundTrip(
            ImageResource.shape,
            ImageResource(
                id: "i", name: "n", kind: "disk", state: "ready", commandLine: "",
                files: [ImageFileResource(part: "disk", format: "qcow2", size: 1 << 40, virtualSize: 2, sha256: "s")],
                revision: 1, createdAt: "c", updatedAt: "u"))
    }

    @Test func `operations and GC jobs`() throws {
        try expectRoundTrip(
            OperationResource.shape,
            OperationResource(
                id: "i", kind: "stop", vm: "v", host: "h", epoch: 2, state: "failed", outcome: "failed", progress: "p",
                error: problem, attempts: 3, requestedBy: "admin", revision: 5, createdAt: "c", updatedAt: "u",
                endedAt: "e"))
        let drain = DrainResource(
            departed: 2, total: 3,
            vms: [
                DrainedVM(
                    id: "v", name: "n", stage: "moving", target: "t", operation: "o", code: "no-capacity", reason: "r")
            ])
        try expectRoundTrip(
            OperationResource.shape,
            OperationResource(
                id: "i", kind: "maintain", vm: nil, host: "h", epoch: 0, state: "pending", outcome: nil, progress: "p",
                drain: drain, error: nil, attempts: 3, requestedBy: "admin", revision: 5, createdAt: "c",
                updatedAt: "u", endedAt: nil))
        try expectRoundTrip(
            DrainPlanResource.shape,
            DrainPlanResource(
                host: "h",
                vms: [
                    PlannedVM(
                        id: "v", name: "n", state: "running", cpus: 1, memory: 64, verdict: "immovable", target: "t",
                        code: "no-capacity", reason: "r")
                ]))
        let job = GCJobResource(
            id: "i", kind: "stop-vm", vm: "v", host: "h", epoch: 2, mode: "cold", state: "waiting", outcome: "stopped",
            attempts: 1, lastError: "l", nextAttemptAt: "n", owner: "o", revision: 2, createdAt: "c", updatedAt: "u",
            endedAt: "e")
        try expectRoundTrip(GCJobResource.shape, job)
        var would = job
        would.wouldHappen = ["a", "b"]
        (would.firstError, would.firstErrorAt, would.lastErrorAt) = ("f", "a", "b")
        try expectRoundTrip(GCJobResource.shape, would)
        try expectRoundTrip(
            GCJobExplanation.shape,
            GCJobExplanation(
                job: job, doing: "d", waitsBecause: "w", wokenBy: ["a"], cancelledBy: ["b"], steps: ["c"]))
    }

    @Test func `an event, a version, and a problem that leaves out what it has not`() throws {
        try expectRoundTrip(
            EventResource.shape,
            EventResource(
                id: 7, at: "a", kind: "vm.stopped", vm: "v", host: "h", job: "j", epoch: 3, message: "m",
                principal: "p"))
        try expectRoundTrip(VersionResource.shape, VersionResource(version: "1", apiVersion: "v1"))
        try expectRoundTrip(Problem.shape, problem)
        var bare = problem
        bare.hint = nil
        bare.field = nil
        #expect(Problem.shape.json(bare).members.map(\.name) == ["type", "title", "status", "detail", "code"])
    }
}
