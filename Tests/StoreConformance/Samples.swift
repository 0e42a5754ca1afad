package import Domain

/// Records to store, told apart by a number.
package enum Sample {
    package static let time = Timestamp(milliseconds: 1_700_000_000_000)

    package static let keptUntil = time.adding(.seconds(3600))

    package static func vmID(_ number: Int) -> VMID { VMID(trusted: uuid(1, number)) }
    package static func hostID(_ number: Int) -> HostID { HostID(trusted: uuid(2, number)) }
    package static func imageID(_ number: Int) -> ImageID { ImageID(trusted: uuid(3, number)) }
    package static func jobID(_ number: Int) -> JobID { JobID(trusted: uuid(4, number)) }
    package static func poolID(_ number: Int) -> PoolID { PoolID(trusted: uuid(5, number)) }

    package static func placement(_ host: Int, epoch: Int64) -> Placement {
        Placement(host: hostID(host), epoch: Epoch(epoch))
    }

    package static func vm(
        _ number: Int, name: String? = nil, state: VMState = .created, image: Int = 1, createdAt: Timestamp = time
    ) -> VM {
        VM(
            id: vmID(number), name: name ?? "vm\(number)", image: imageID(image), cpus: 2, memory: 512, state: state,
            epoch: state.placement?.epoch ?? .none, expungeAt: state == .destroyed ? keptUntil : nil,
            createdAt: createdAt, updatedAt: createdAt)
    }

    package static func host(_ number: Int, name: String? = nil) -> Host {
        Host(id: hostID(number), name: name ?? "host\(number)", createdAt: time, updatedAt: time)
    }

    package static func image(_ number: Int, kind: Image.Kind = .kernel) -> Image {
        Image(
            id: imageID(number), name: "image\(number)", kind: kind, commandLine: "console=ttyS0", createdAt: time,
            updatedAt: time)
    }

    package static func job(
        _ number: Int, _ kind: JobKind = .stopVM, vm: Int? = nil, host: Int = 1, epoch: Int64 = 1,
        due: Timestamp = time
    ) -> Job {
        Job(
            id: jobID(number), kind: kind, vm: vmID(vm ?? number), host: hostID(host), epoch: Epoch(epoch),
            payload: JobPayload(mode: .grace, timeout: 120), wish: 1, nextAttemptAt: due, requestedBy: "admin",
            createdAt: time, updatedAt: time)
    }

    package static func drain(_ number: Int, host: Int, due: Timestamp = time) -> Job {
        Job(
            id: jobID(number), kind: .maintainOperation, vm: .nobody, host: hostID(host), epoch: .none,
            payload: JobPayload(), wish: 0, nextAttemptAt: due, requestedBy: "admin", createdAt: time, updatedAt: time)
    }

    package static func node(_ id: String, place: String = "here") -> Node {
        Node(id: id, place: place, name: "n", version: "1", startedAt: time, seenAt: time)
    }

    private static func uuid(_ kind: Int, _ number: Int) -> String {
        let digits = String(number)
        return "0000000\(kind)-0000-4000-8000-" + String(repeating: "0", count: 12 - digits.count) + digits
    }
}
