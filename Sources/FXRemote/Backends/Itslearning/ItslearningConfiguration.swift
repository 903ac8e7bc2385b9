public import FXSystem

/// An account at itslearning's Organisation API and what is done with its files.
public struct ItslearningConfiguration: Sendable {
    public var username: String
    /// Read at each request, so that a corrected password is seen without a new mount.
    public var password: @Sendable () throws(RemoteError) -> Secret
    /// The extension that gets the files; it has to support file streaming.
    public var extensionID = ItslearningConfiguration.fileExtension
    /// Needed when the account covers several sites.
    public var siteID: Int64?
    /// nil: files stay in the temporary area, where somebody else uses them.
    public var publication: ItslearningPublication?
    /// Of one file.
    public var maximumFileSize = ItslearningConfiguration.standardMaximumFileSize
    /// How long a small request may take.
    public var operationTimeout = Duration.seconds(15)
    /// The first pause before the service is asked what became of a message; they double up to 30 s.
    public var firstPoll = Duration.seconds(1)
    /// How long the service may take to carry out a message before that counts as failed.
    public var publicationTime = Duration.seconds(3600)

    public init(username: String, password: @escaping @Sendable () throws(RemoteError) -> Secret) {
        self.username = username
        self.password = password
    }

    /// The extension "File" of every itslearning site.
    public static let fileExtension: Int64 = 5009
    /// "500MB", in its smaller reading: what both readings take.
    public static let standardMaximumFileSize = ByteCount(500_000_000)
    /// How long the service keeps a file that nobody used, in seconds: 14 days.
    static let retention: Int64 = 14 * 86_400
    /// A file is not used any more when so little of its time is left, in seconds.
    static let margin: Int64 = 3600
}

/// Where each file is made content, by a message of its own.
public struct ItslearningPublication: Sendable, Equatable {
    public enum Location: String, Sendable, CaseIterable {
        case course = "Course"
        case library = "Library"
    }

    public var location: Location
    /// Of `Location.course` only.
    public var courseID: Int64?
    public var userID: Int64
    /// The folder; nil for the top.
    public var parentID: Int64?

    public init(location: Location, courseID: Int64? = nil, userID: Int64, parentID: Int64? = nil) {
        self.location = location
        self.courseID = courseID
        self.userID = userID
        self.parentID = parentID
    }
}
