//! What the sample shop sells, to whom, and what its customers type.

/// A part of the assortment: name, price range in cents, brands, what its products are, what people search for.
pub(super) struct Category {
    pub(super) name: &'static str,
    pub(super) code: &'static str,
    /// How often it is somebody's favourite.
    pub(super) weight: u32,
    pub(super) cents: (i64, i64),
    pub(super) brands: &'static [&'static str],
    pub(super) products: &'static [&'static str],
    /// The popular ones first.
    pub(super) searches: &'static [&'static str],
}

pub(super) const CATEGORIES: &[Category] = &[
    Category {
        name: "shoes",
        code: "SHO",
        weight: 18,
        cents: (3900, 18900),
        brands: &["Velora", "Nordane", "Kaiwalk", "Asperline", "Tormark"],
        products: &[
            "Running Shoe",
            "Trail Shoe",
            "Sneaker",
            "Hiking Boot",
            "Sandal",
            "Court Shoe",
            "Slip-on",
        ],
        searches: &[
            "running shoes",
            "sneakers",
            "trail running shoes",
            "hiking boots",
            "Running Shoes",
            "white sneakers",
            "running shoes women",
            "best running shoes 2026",
            "sandals",
            "winter boots",
            "kids shoes",
            "barefoot shoes",
        ],
    },
    Category {
        name: "apparel",
        code: "APP",
        weight: 16,
        cents: (1500, 22900),
        brands: &["Nordane", "Halfield", "Linden & Co", "Osteria", "Mirvia"],
        products: &[
            "Rain Jacket",
            "Wool Sweater",
            "T-Shirt",
            "Jeans",
            "Hoodie",
            "Dress",
            "Socks",
            "Running Tights",
        ],
        searches: &[
            "rain jacket",
            "hoodie",
            "jeans",
            "wool sweater",
            "summer dress",
            "running tights",
            "black t-shirt",
            "wool socks",
            "down jacket",
            "linen shirt",
        ],
    },
    Category {
        name: "electronics",
        code: "ELE",
        weight: 15,
        cents: (1900, 129_900),
        brands: &["Zentek", "Lumia Works", "Rindex", "Halvia", "Torwave"],
        products: &[
            "Headphones",
            "Smart Watch",
            "Laptop",
            "Phone Case",
            "Monitor",
            "Speaker",
            "USB-C Cable",
            "Camera",
        ],
        searches: &[
            "wireless headphones",
            "smart watch",
            "laptop",
            "usb c cable",
            "phone case",
            "gps watch",
            "monitor 27 inch",
            "bluetooth speaker",
            "noise cancelling headphones",
            "camera",
        ],
    },
    Category {
        name: "sports",
        code: "SPO",
        weight: 12,
        cents: (900, 89_900),
        brands: &["Velora", "Kaiwalk", "Bexfield", "Tormark"],
        products: &[
            "Yoga Mat",
            "Dumbbells",
            "Bike Helmet",
            "Road Bike",
            "Running Belt",
            "Water Bottle",
            "Tennis Racket",
        ],
        searches: &[
            "yoga mat",
            "dumbbells",
            "bike helmet",
            "running belt",
            "water bottle",
            "road bike",
            "foam roller",
            "tennis racket",
        ],
    },
    Category {
        name: "beauty",
        code: "BEA",
        weight: 10,
        cents: (600, 8900),
        brands: &["Mirvia", "Asperline", "Rosalind", "Ostara"],
        products: &["Face Cream", "Perfume", "Shampoo", "Sunscreen", "Lipstick", "Hand Soap"],
        searches: &["sunscreen", "face cream", "perfume", "vegan shampoo", "lipstick", "vitamin c serum"],
    },
    Category {
        name: "home",
        code: "HOM",
        weight: 10,
        cents: (900, 39_900),
        brands: &["Halfield", "Lumia Works", "Oakmont", "Linden & Co"],
        products: &["Desk Lamp", "Cushion", "Office Chair", "Rug", "Bookshelf", "Bed Linen", "Candle"],
        searches: &[
            "desk lamp",
            "office chair",
            "bed linen",
            "rug",
            "bookshelf",
            "scented candle",
            "curtains",
        ],
    },
    Category {
        name: "kitchen",
        code: "KIT",
        weight: 8,
        cents: (700, 49_900),
        brands: &["Oakmont", "Bexfield", "Rindex"],
        products: &["Coffee Maker", "Chef Knife", "Air Fryer", "Frying Pan", "Kettle", "Mug"],
        searches: &["coffee maker", "air fryer", "chef knife", "frying pan", "espresso machine", "kettle"],
    },
    Category {
        name: "outdoor",
        code: "OUT",
        weight: 7,
        cents: (1200, 59_900),
        brands: &["Nordane", "Bexfield", "Tormark"],
        products: &["Tent", "Sleeping Bag", "Backpack", "Head Torch", "Camping Stove", "Trekking Poles"],
        searches: &[
            "backpack",
            "tent 2 person",
            "sleeping bag",
            "head torch",
            "trekking poles",
            "camping stove",
        ],
    },
    Category {
        name: "books",
        code: "BOO",
        weight: 5,
        cents: (800, 4900),
        brands: &["Inkwell", "Harbour Press", "Little Fox"],
        products: &["Novel", "Cookbook", "Travel Guide", "Biography", "Picture Book"],
        searches: &["novel", "cookbook", "marathon training book", "travel guide", "crime novel"],
    },
    Category {
        name: "toys",
        code: "TOY",
        weight: 4,
        cents: (700, 12_900),
        brands: &["Little Fox", "Zentek", "Brickwood"],
        products: &["Building Set", "Board Game", "Puzzle", "Plush Bear", "Balance Bike"],
        searches: &["board game", "building set", "puzzle 1000 pieces", "balance bike"],
    },
    Category {
        name: "garden",
        code: "GAR",
        weight: 3,
        cents: (500, 34_900),
        brands: &["Oakmont", "Greenline"],
        products: &["Garden Hose", "Plant Pot", "Hedge Trimmer", "Seed Box", "Parasol"],
        searches: &["garden hose", "plant pot", "hedge trimmer", "tomato seeds"],
    },
    Category {
        name: "pets",
        code: "PET",
        weight: 3,
        cents: (400, 14_900),
        brands: &["Pawsome", "Greenline"],
        products: &["Dog Food", "Cat Tree", "Dog Leash", "Bird Feeder"],
        searches: &["dog food", "cat tree", "dog leash", "running leash"],
    },
];

/// Country, weight, language, cities with the large ones first.
pub(super) const COUNTRIES: &[(&str, u32, &str, &[&str])] = &[
    ("US", 28, "en", &["New York", "Los Angeles", "Chicago", "Houston", "Seattle", "Boston"]),
    ("DE", 14, "de", &["Berlin", "Hamburg", "München", "Köln", "Leipzig"]),
    ("GB", 12, "en", &["London", "Leeds", "Bristol", "Glasgow"]),
    ("FR", 9, "fr", &["Paris", "Lyon", "Nice", "Nantes"]),
    ("CA", 6, "en", &["Toronto", "Montréal", "Vancouver"]),
    ("ES", 5, "es", &["Madrid", "Barcelona", "Sevilla"]),
    ("IT", 5, "it", &["Roma", "Milano", "Torino"]),
    ("NL", 4, "nl", &["Amsterdam", "Utrecht", "Rotterdam"]),
    ("BR", 4, "pt", &["São Paulo", "Rio de Janeiro"]),
    ("IN", 4, "en", &["Mumbai", "Delhi", "Bengaluru", "Pune"]),
    ("JP", 3, "ja", &["Tokyo", "Osaka"]),
    ("SE", 2, "sv", &["Stockholm", "Malmö"]),
    ("PL", 2, "pl", &["Warszawa", "Kraków"]),
    ("AU", 2, "en", &["Sydney", "Melbourne", "Perth"]),
];

pub(super) const FIRST_NAMES: &[&str] = &[
    "Anna", "Liam", "Olivia", "Noah", "Emma", "Lucas", "Mia", "Ethan", "Sofia", "Leo", "Yuki", "Arjun",
    "Priya", "Chen", "Fatima", "Omar", "Ingrid", "Mateo", "Camila", "Hugo", "Zoë", "Björn", "Jürgen", "Aiko",
    "Kenji", "Maria", "José", "Elena", "Ivan", "Nadia", "Tom", "Kate", "Sam", "Alex", "Robin", "Grace",
    "Henry", "Isla", "Jack", "Ruby",
];

pub(super) const LAST_NAMES: &[&str] = &[
    "Smith",
    "Jones",
    "Müller",
    "Schmidt",
    "Garcia",
    "Silva",
    "Tanaka",
    "Kim",
    "Patel",
    "Singh",
    "Martin",
    "Bernard",
    "Rossi",
    "Russo",
    "Jansen",
    "de Vries",
    "Andersson",
    "Nowak",
    "Kowalski",
    "Hernández",
    "Lopez",
    "Brown",
    "Wilson",
    "Taylor",
    "O'Brien",
    "Nguyen",
    "Cohen",
    "Ali",
    "Khan",
    "Ito",
];

pub(super) const MAIL_DOMAINS: &[&str] = &["example.com", "example.org", "example.net"];

pub(super) const GENDERS: &[&str] = &["female", "male", "nonbinary"];

/// From the lowest to the highest.
pub(super) const TIERS: &[&str] = &["bronze", "silver", "gold", "platinum"];

pub(super) const INTERESTS: &[&str] = &[
    "running",
    "travel",
    "cooking",
    "music",
    "gaming",
    "fashion",
    "reading",
    "cycling",
    "yoga",
    "photography",
    "gardening",
    "hiking",
    "diy",
    "parenting",
    "pets",
    "wine",
];

pub(super) const DEVICES: &[&str] = &["mobile", "desktop", "tablet"];

/// The campaign of each month, January first.
pub(super) const SEASONS: &[&str] = &[
    "new_year_fitness",
    "winter_sale",
    "spring_running",
    "spring_running",
    "garden_days",
    "summer_sale",
    "summer_sale",
    "back_to_school",
    "back_to_school",
    "autumn_launch",
    "black_friday",
    "holiday_gifts",
];

/// Campaigns that run all year.
pub(super) const EVERGREEN: &[&str] = &["newsletter", "retargeting", "referral", "loyalty_week"];

/// How busy each hour of the day is.
pub(super) const HOURS: &[u32] =
    &[6, 3, 2, 1, 1, 2, 6, 14, 22, 28, 30, 32, 36, 34, 30, 30, 32, 36, 42, 50, 54, 46, 30, 14];
