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

/// UUIDs from the system's generator.
package struct SystemIDs: IDSource {
    package init() {}

    package func uuid() -> String { UUID().uuidString.lowercased() }

    /// Of version 7: the milliseconds since 1970, then random bits.
    package func orderedUUID() -> String {
        let time = UInt64(max(0, Date().timeIntervalSince1970 * 1000))
        let high = time << 16 | 0x7000 | UInt64.random(in: 0...0xFFF)
        let low = 0x8000_0000_0000_0000 | UInt64.random(in: 0...0x3FFF_FFFF_FFFF_FFFF)
        var digits: [UInt8] = []
        digits.reserveCapacity(36)
        for (index, shift) in zip(0..., stride(from: 124, through: 0, by: -4)) {
            if [8, 12, 16, 20].contains(index) { digits.append(UInt8(ascii: "-")) }
            let digit = UInt8(
                truncatingIfNeeded: (shift >= 64 ? high >> UInt64(shift - 64) : low >> UInt64(shift)) & 15)
            digits.append(digit < 10 ? UInt8(ascii: "0") + digit : UInt8(ascii: "a") + digit - 10)
        }
        return String(decoding: digits, as: UTF8.self)
    }
}

/// The system's random numbers.
package struct SystemRandom: RandomSource {
    package init() {}

    package func unit() -> Double { Double.random(in: 0..<1) }
}
