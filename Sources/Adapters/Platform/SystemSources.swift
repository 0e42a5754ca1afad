import Dispatch
package import Domain
import FoundationEssentials

/// This machine's clocks.
package struct SystemTime: TimeSource {
    package init() {}

    package func wall() -> Timestamp { Timestamp(milliseconds: Int64(Date().timeIntervalSince1970 * 1000)) }

    package func monotonic() -> Duration { .nanoseconds(Int64(DispatchTime.now().uptimeNanoseconds)) }

    package func sleep(for duration: Duration) async throws { try await Task.sleep(for: duration) }
}

/// Random UUIDs from the system's generator.
package struct SystemIDs: IDSource {
    package init() {}

    package func uuid() -> String { UUID().uuidString.lowercased() }
}

/// The system's random numbers.
package struct SystemRandom: RandomSource {
    package init() {}

    package func unit() -> Double { Double.random(in: 0..<1) }
}
