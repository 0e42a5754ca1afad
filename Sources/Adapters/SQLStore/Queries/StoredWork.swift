import ControlPlane
import Domain

/// A job's kind and payload as they are stored, read as far as this release can.
struct StoredWork {
    let kind: JobKind
    let payload: JobPayload
    let unreadable: UnreadableWork?

    /// All that is known of a payload of any version.
    private struct Header: Decodable { let version: Int }

    init(kind name: String, payload text: String) {
        kind = JobKind(stored: name)
        switch Self.read(kind, name, text) {
        case .success(let read): (payload, unreadable) = (read, nil)
        case .failure(let found):
            payload = JobPayload()
            unreadable = UnreadableWork(kind: name, payload: text, reason: found.reason)
        }
    }

    /// What is stored of a job's payload: of one that could not be read what was there.
    static func text(of job: Job) throws -> String {
        try job.unreadable?.payload ?? JSONText.encode(job.payload)
    }

    private struct Obstacle: Error { let reason: String }

    private static func read(_ kind: JobKind, _ name: String, _ text: String) -> Result<JobPayload, Obstacle> {
        let newest = JobPayload.currentVersion
        guard kind.isKnown else {
            return .failure(Obstacle(reason: "This release of Roost does not know jobs of the kind '\(name)'."))
        }
        if let payload = JSONText.decode(JobPayload.self, from: text), (1...newest).contains(payload.version) {
            return .success(payload.atCurrentVersion)
        }
        guard let version = JSONText.decode(Header.self, from: text)?.version, version >= 1 else {
            return .failure(Obstacle(reason: "What the job is to do cannot be read: its payload is damaged."))
        }
        guard version <= newest else {
            return .failure(
                Obstacle(
                    reason:
                        "A newer release of Roost wrote the job: its payload has version \(version), and this release "
                        + "reads versions up to \(newest)."))
        }
        return .failure(
            Obstacle(reason: "What the job is to do cannot be read, though its payload has version \(version)."))
    }
}
