/// The two ways in which times come over the wire, read as seconds since 1970.
package enum WireTime {
    /// `2026-01-02T03:04:05.678Z`, the API's own form; nil for anything else.
    package static func seconds(rfc3339 text: String) -> Double? {
        let parts = text.split(separator: "T", omittingEmptySubsequences: false)
        guard parts.count == 2, parts[1].hasSuffix("Z") else { return nil }
        let date = parts[0].split(separator: "-", omittingEmptySubsequences: false).map { Int($0) }
        guard date.count == 3, let year = date[0], let month = date[1], let day = date[2],
            let time = secondsOfDay(parts[1].dropLast())
        else { return nil }
        return seconds(year: year, month: month, day: day).map { $0 + time }
    }

    /// `Fri, 02 Jan 2026 03:04:05 GMT`, the form of HTTP's `Date`; nil for anything else.
    package static func seconds(httpDate text: String) -> Double? {
        let names = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
        let parts = text.split(separator: " ")
        guard parts.count == 6, parts[5] == "GMT", let day = Int(parts[1]),
            let month = names.firstIndex(of: String(parts[2])), let year = Int(parts[3]),
            let time = secondsOfDay(parts[4])
        else { return nil }
        return seconds(year: year, month: month + 1, day: day).map { $0 + time }
    }

    private static func secondsOfDay(_ text: Substring) -> Double? {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count == 3, let hours = Int(parts[0]), let minutes = Int(parts[1]),
            let seconds = Double(parts[2]), (0...23).contains(hours), (0...59).contains(minutes),
            (0..<61).contains(seconds)
        else { return nil }
        return Double(hours * 3600 + minutes * 60) + seconds
    }

    private static func seconds(year: Int, month: Int, day: Int) -> Double? {
        guard (1...12).contains(month), (1...31).contains(day), (1970...9999).contains(year) else { return nil }
        // Years that begin in March put the leap day last, where it moves no other day.
        let shifted = month <= 2 ? year - 1 : year
        let dayOfYear = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1
        let days = shifted * 365 + shifted / 4 - shifted / 100 + shifted / 400 + dayOfYear - 719_468
        return Double(days * 86_400)
    }
}
