/// What a GET or HEAD of stored bytes is answered: `opentera.md`, 6.4.
enum Downloading {
    static func answer(_ call: Call, _ file: AssetRecord.File, _ stored: StoredBytes) -> Answer {
        let size = file.range.count
        let tag = entityTag(file)
        let modified = Moment.httpDate(file.uploaded)
        let common: [(name: String, value: String)] = [
            ("Content-Disposition", FileNames.disposition(file.originalName)), ("Cache-Control", "no-cache"),
            ("ETag", tag), ("Accept-Ranges", "bytes"),
        ]
        if let match = call.field("If-None-Match") {
            if match == "*" || match.split(separator: ",").contains(where: { $0.filter { $0 != " " } == tag }) {
                return Answer(304, fields: common)
            }
        } else if let since = call.field("If-Modified-Since").flatMap(Moment.parseHTTPDate),
            file.uploaded / 1_000_000 <= since / 1_000_000
        {
            return Answer(304, fields: common)
        }
        let type = FileNames.type(of: file.originalName)
        let all =
            common + [
                ("Content-Type", type.hasPrefix("text/") ? "\(type); charset=utf-8" : type),
                ("Last-Modified", modified),
            ]
        let whole = Answer(200, fields: all, body: .stored(stored, file.range))
        guard let range = call.field("Range"), size > 0 else { return whole }
        if let condition = call.field("If-Range"), condition != tag, condition != modified { return whole }
        guard let wanted = satisfiable(range, size: size) else {
            var answer = Answer.message(416, "The server cannot provide the requested range.")
            answer.fields.append(("Content-Range", "bytes */\(size)"))
            return answer
        }
        let place = file.range.lowerBound + wanted.lowerBound..<file.range.lowerBound + wanted.upperBound
        return Answer(
            206, fields: all + [("Content-Range", "bytes \(wanted.lowerBound)-\(wanted.upperBound - 1)/\(size)")],
            body: .stored(stored, place))
    }

    /// One range, clipped at the end; nil where the server says 416, which includes a suffix longer than the file.
    static func satisfiable(_ field: String, size: Int) -> Range<Int>? {
        guard field.hasPrefix("bytes=") else { return nil }
        let sides = field.dropFirst(6).split(separator: "-", omittingEmptySubsequences: false)
        guard sides.count == 2 else { return nil }
        if sides[0].isEmpty {
            guard let count = Int(sides[1]), count > 0, count <= size else { return nil }
            return size - count..<size
        }
        guard let start = Int(sides[0]), start >= 0, start < size else { return nil }
        if sides[1].isEmpty { return start..<size }
        guard let end = Int(sides[1]), end >= start else { return nil }
        return start..<min(end + 1, size)
    }

    /// `"MTIME-SIZE-NUMBER"`; the number depends on the file's place on disk.
    private static func entityTag(_ file: AssetRecord.File) -> String {
        let fraction = String(file.uploaded % 1_000_000)
        let digits = String(repeating: "0", count: 6 - fraction.count) + fraction
        return "\"\(file.uploaded / 1_000_000).\(digits)-\(file.range.count)-\(2_100_000_000 + file.id)\""
    }
}
