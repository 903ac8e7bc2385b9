internal import FXSystem

/// `Upload-Metadata`: keys and base 64 values.
enum TusMetadata {
    /// Says whose an upload is, to us and to whoever looks after the service.
    static let upload = "fxmount-upload"

    /// Of a file that is still written neither digest nor time are known when its upload is created.
    static func field(of upload: Upload) -> String {
        var pairs: [(String, [UInt8])] = [
            // What the servers in use take for the name, and its place below the session.
            ("filename", Array(upload.path.name?.bytes ?? [])), ("relativePath", Array(upload.path.bytes)),
            (self.upload, Array(upload.id.text.utf8)),
        ]
        if let digest = upload.sha256 {
            pairs.append(("sha256", Array(digest.text.utf8)))
            pairs.append(("mtime", Array(String(upload.modified.seconds).utf8)))
        }
        return pairs.map { "\($0.0) \(base64($0.1))" }.joined(separator: ",")
    }

    /// True unless the field says that the upload is another one.
    static func fits(_ field: String?, _ upload: Upload) -> Bool {
        for pair in (field ?? "").split(separator: ",") {
            let words = pair.split(separator: " ")
            if words.count == 2, words[0] == self.upload { return words[1] == base64(Array(upload.id.text.utf8)) }
        }
        return true
    }
}
