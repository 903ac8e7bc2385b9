/// What a file may be called: the published list, literally.
enum FileNameRules {
    static let denied: Set<String> = [
        "exe", "com", "vb", "vbs", "vbe", "cmd", "bat", "ws", "wsf", "src", "shs", "pif", "hta", "jar", "js", "jse",
        "lnk",
    ]

    /// Of the message processor, in UTF-16 units, as .NET counts.
    static let longest = 155

    /// After the last dot, in lower case; empty when the name ends in dots or spaces.
    static func ending(of name: String) -> String {
        if let last = name.last, last == "." || last == " " { return "" }
        guard let dot = name.lastIndex(of: ".") else { return "" }
        return name[name.index(after: dot)...].lowercased()
    }

    /// Why a name is refused; nil when it is not.
    static func problem(with name: String) -> String? {
        if name.unicodeScalars.contains(where: { "/\\".unicodeScalars.contains($0) || $0.value < 0x20 }) {
            return "The file name contains characters that are not allowed."
        }
        let ending = ending(of: name)
        if ending.isEmpty { return "Files without extension cannot be uploaded." }
        return denied.contains(ending) ? "Files with extension .\(ending) cannot be uploaded." : nil
    }
}
