internal import FXSystem
internal import Glibc

/// Where a command writes: results on stdout, everything else on stderr.
///
/// With `--json` stdout carries one document or JSON lines and nothing else.
struct Printer: Sendable {
    enum Volume: Sendable { case quiet, normal, verbose }

    var isJSON = false
    var volume = Volume.normal
    /// Whether stdout understands colours: a terminal, NO_COLOR empty or unset (no-color.org), TERM not dumb.
    var isColoured = false

    init(json: Bool, volume: Volume, environment: [String: String]) {
        isJSON = json
        self.volume = volume
        isColoured =
            isatty(STDOUT_FILENO) == 1 && (environment["NO_COLOR"] ?? "").isEmpty && environment["TERM"] != "dumb"
    }

    /// One JSON value on one line of stdout; only with `--json`.
    func document(_ value: JSONValue) {
        if isJSON { write(value.text + "\n", to: STDOUT_FILENO) }
    }

    /// A result for a person; nothing with `--json`.
    func say(_ text: String) {
        if !isJSON { write(text + "\n", to: STDOUT_FILENO) }
    }

    /// A confirmation a person may do without: nothing with `--json` or `--quiet`.
    func confirm(_ text: String) {
        if volume != .quiet { say(text) }
    }

    /// A detail for `--verbose`, on stderr.
    func detail(_ text: String) {
        if volume == .verbose, !isJSON { write("fxmount: \(text)\n", to: STDERR_FILENO) }
    }

    /// Something the user should know although the command goes on, on stderr.
    func warn(_ text: String) {
        if isJSON {
            write(JSONValue.object([.init("warning", ["message": .string(text)])]).text + "\n", to: STDERR_FILENO)
        } else if volume != .quiet {
            write("fxmount: warning: \(text)\n", to: STDERR_FILENO)
        }
    }

    /// The last words of a command that failed, on stderr.
    func fail(_ failure: CommandFailure) {
        write((isJSON ? failure.json.text : failure.text) + "\n", to: STDERR_FILENO)
    }

    /// Rows in aligned columns; only for a person.
    func table(_ titles: [String], _ rows: [[String]]) {
        if !isJSON { write(Table(titles: titles, rows: rows).text(bold: isColoured), to: STDOUT_FILENO) }
    }

    /// Bytes as they are on stdout; false when the reader went away.
    func write(_ bytes: [UInt8]) -> Bool { write(bytes[...], to: STDOUT_FILENO) }

    private func write(_ text: String, to descriptor: Int32) {
        _ = write(Array(text.utf8)[...], to: descriptor)
    }

    /// Writes everything; a reader that went away (EPIPE) ends the output silently, as in `fxmount list | head -1`.
    private func write(_ bytes: ArraySlice<UInt8>, to descriptor: Int32) -> Bool {
        var rest = bytes
        while !rest.isEmpty {
            let count = unsafe rest.withUnsafeBytes { unsafe Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if count < 0 {
                if errno == EINTR { continue }
                return false
            }
            rest = rest.dropFirst(count)
        }
        return true
    }
}

/// Text in aligned columns.
struct Table: Sendable, Equatable {
    var titles: [String]
    var rows: [[String]]

    /// Two spaces between columns, none at the end of a line.
    func text(bold: Bool = false) -> String {
        var widths = titles.map(\.count)
        for row in rows {
            for (column, cell) in row.enumerated() where column < widths.count {
                widths[column] = max(widths[column], cell.count)
            }
        }
        func line(_ cells: [String]) -> String {
            var line = ""
            for (column, cell) in cells.enumerated() {
                line += cell
                if column < cells.count - 1 { line += String(repeating: " ", count: widths[column] - cell.count + 2) }
            }
            return String(line.reversed().drop { $0 == " " }.reversed())
        }
        let heading = line(titles)
        let lines = [bold ? "\u{1b}[1m\(heading)\u{1b}[0m" : heading] + rows.map(line)
        return lines.joined(separator: "\n") + "\n"
    }
}
