package import Domain

extension Timestamp {
    /// The time as RFC 3339 has it, in UTC, with milliseconds: `2025-11-23T07:51:00.000Z`.
    package var rfc3339: String {
        let time = CivilTime(self)
        return
            "\(padded(time.year, 4))-\(padded(time.month, 2))-\(padded(time.day, 2))T"
            + "\(padded(time.secondOfDay / 3600, 2)):\(padded(time.secondOfDay / 60 % 60, 2))"
            + ":\(padded(time.secondOfDay % 60, 2)).\(padded(time.millisecond, 3))Z"
    }

    /// The time as HTTP's `Date` has it: `Sun, 23 Nov 2025 07:51:00 GMT`.
    package var httpDate: String {
        let time = CivilTime(self)
        let weekday = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"][time.weekday]
        let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
        return
            "\(weekday), \(padded(time.day, 2)) \(months[Int(time.month) - 1]) \(padded(time.year, 4)) "
            + "\(padded(time.secondOfDay / 3600, 2)):\(padded(time.secondOfDay / 60 % 60, 2))"
            + ":\(padded(time.secondOfDay % 60, 2)) GMT"
    }
}

/// A moment in the proleptic Gregorian calendar, in UTC.
private struct CivilTime {
    let year: Int64
    let month: Int64
    let day: Int64
    /// 0 is Sunday.
    let weekday: Int
    let secondOfDay: Int64
    let millisecond: Int64

    /// Counts in years that begin in March, so that the leap day is a year's last, and in eras of 400 years, whose length
    /// in days is always the same.
    init(_ time: Timestamp) {
        let (second, millisecond) = time.milliseconds.quotientAndRemainder(flooredBy: 1000)
        let (days, secondOfDay) = second.quotientAndRemainder(flooredBy: 86_400)
        let daysPerEra: Int64 = 146_097
        let (era, dayOfEra) = (days + 719_468).quotientAndRemainder(flooredBy: daysPerEra)
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let monthFromMarch = (5 * dayOfYear + 2) / 153
        day = dayOfYear - (153 * monthFromMarch + 2) / 5 + 1
        month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9
        year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
        // 1970 began on a Thursday.
        weekday = Int((days + 4).quotientAndRemainder(flooredBy: 7).1)
        self.secondOfDay = secondOfDay
        self.millisecond = millisecond
    }
}

extension Int64 {
    /// Quotient and remainder with a remainder that is never negative.
    fileprivate func quotientAndRemainder(flooredBy divisor: Int64) -> (Int64, Int64) {
        let (quotient, remainder) = quotientAndRemainder(dividingBy: divisor)
        return remainder < 0 ? (quotient - 1, remainder + divisor) : (quotient, remainder)
    }
}

private func padded(_ number: Int64, _ width: Int) -> String {
    let digits = String(number)
    return String(repeating: "0", count: max(0, width - digits.count)) + digits
}
