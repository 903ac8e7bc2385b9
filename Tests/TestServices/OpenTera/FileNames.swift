import Foundation

/// What Werkzeug and Python make of file names.
enum FileNames {
    /// werkzeug.utils.secure_filename on Linux: ASCII after NFKD, separators and blanks to `_`, nothing but letters,
    /// digits, `_`, `.` and `-`, no dots or underscores at the ends.
    static func secured(_ name: String) -> String {
        let decomposed = name.decomposedStringWithCompatibilityMapping.unicodeScalars.filter(\.isASCII)
        var text = String(String.UnicodeScalarView(decomposed))
        text = text.replacingOccurrences(of: "/", with: " ")
        text = text.split { " \t\n\r\u{b}\u{c}".contains($0) }.joined(separator: "_")
        text = text.filter { ($0.isLetter || $0.isNumber || "_.-".contains($0)) && $0.isASCII }
        return text.trimmingCharacters(in: CharacterSet(charactersIn: "._"))
    }

    private static let types = [
        "txt": "text/plain", "csv": "text/csv", "html": "text/html", "htm": "text/html", "xml": "text/xml",
        "json": "application/json", "pdf": "application/pdf", "png": "image/png", "jpg": "image/jpeg",
        "jpeg": "image/jpeg", "gif": "image/gif", "zip": "application/zip", "tar": "application/x-tar",
        "wav": "audio/x-wav", "mp3": "audio/mpeg", "mp4": "video/mp4", "py": "text/x-python", "md": "text/markdown",
        "c": "text/plain", "sh": "application/x-sh", "js": "text/javascript", "css": "text/css",
    ]

    /// mimetypes.guess_type.
    static func type(of name: String) -> String {
        guard let dot = name.lastIndex(of: ".") else { return "application/octet-stream" }
        return types[name[dot...].dropFirst().lowercased()] ?? "application/octet-stream"
    }

    /// `attachment; filename=…` as flask.send_file writes it.
    static func disposition(_ name: String) -> String {
        let isPlain = name.unicodeScalars.allSatisfy(\.isASCII)
        let ascii = String(
            String.UnicodeScalarView(
                name.decomposedStringWithCompatibilityMapping.unicodeScalars.filter(\.isASCII)))
        let isToken =
            !ascii.isEmpty && ascii.allSatisfy { $0.isLetter || $0.isNumber || "!#$%&'*+-.^_`|~".contains($0) }
        let quoted =
            isToken
            ? ascii
            : "\"" + ascii.replacingOccurrences(of: "\\", with: "\\\\").replacingOccurrences(of: "\"", with: "\\\"")
                + "\""
        let extended = isPlain ? "" : "; filename*=UTF-8''\(URLText.encode(name))"
        return "attachment; filename=\(quoted)\(extended)"
    }
}
