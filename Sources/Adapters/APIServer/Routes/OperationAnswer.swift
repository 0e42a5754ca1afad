import APIContract
import ControlPlane
import Domain
import ServiceLifecycle

/// Answers with an operation, at once or when it has ended.
struct OperationAnswer: Sendable {
    let jobs: JobService

    static let wait = QueryField<Int64>.integer(
        "wait", in: 0...300, "Hold the answer for so many seconds, or until the operation has ended.")

    /// The answer to a request that was accepted as `job`.
    func accepted(_ job: Job, _ call: Call) async throws -> Answer {
        answer(.accepted, try await settled(job, call)).located("/v1/operations/\(job.id)")
    }

    func shown(_ job: Job, _ call: Call) async throws -> Answer { answer(.ok, try await settled(job, call)) }

    private func answer(_ status: HTTPStatus, _ job: Job) -> Answer {
        .resource(OperationResource.shape, OperationResource(job), status: status).tagged(job.revision)
    }

    /// The operation as it is when it has ended, when the caller's time is up, or when this server is asked to stop.
    private func settled(_ job: Job, _ call: Call) async throws -> Job {
        guard let seconds = try call.query.optional(Self.wait), seconds > 0, !job.state.isEnded else { return job }
        do {
            return try await cancelWhenGracefulShutdown {
                try await jobs.wait(for: job.id.rawValue, atMost: .seconds(seconds))
            }
        } catch  where Task.isShuttingDownGracefully {
            return try await jobs.operation(job.id.rawValue)
        }
    }
}
