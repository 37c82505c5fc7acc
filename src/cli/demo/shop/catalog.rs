//! The assortment, and the lists that events point into.

use super::random::Random;
use super::words::CATEGORIES;

/// One thing to buy.
pub(super) struct Product {
    pub(super) sku: String,
    pub(super) name: String,
    pub(super) brand: &'static str,
    pub(super) category: usize,
    pub(super) cents: u32,
}

/// Products, search terms and addresses of the shop; events hold indices into these lists.
pub(super) struct Catalog {
    pub(super) products: Vec<Product>,
    /// The products of each category, the popular ones first.
    by_category: Vec<Vec<usize>>,
    /// Category and text.
    pub(super) terms: Vec<(usize, &'static str)>,
    /// Where each category's terms begin.
    first_term: Vec<usize>,
    /// The addresses of all pages: fixed ones, categories, searches, products, in this order.
    pub(super) urls: Vec<String>,
}

/// Pages that every shop has.
const PAGES: &[&str] =
    &["/", "/sale", "/account", "/cart", "/checkout", "/order/complete", "/returns", "/support"];

/// The page of an event, as an index of [`Catalog::urls`].
#[derive(Clone, Copy)]
pub(super) enum Page {
    Cart = 3,
    Checkout = 4,
    Complete = 5,
    Returns = 6,
    Support = 7,
}

impl Catalog {
    pub(super) fn new(seed: u64) -> Self {
        let mut random = Random::new(seed, u64::MAX);
        let mut catalog = Self {
            products: vec![],
            by_category: vec![],
            terms: vec![],
            first_term: vec![],
            urls: PAGES.iter().map(|page| (*page).to_owned()).collect(),
        };
        for (at, category) in CATEGORIES.iter().enumerate() {
            let mut members = vec![];
            for kind in category.products {
                for brand in category.brands {
                    members.push(catalog.products.len());
                    let number = catalog.products.len() + 1;
                    catalog.products.push(Product {
                        sku: format!("{}-{number:04}", category.code),
                        name: format!("{brand} {kind}"),
                        brand,
                        category: at,
                        cents: price(&mut random, category.cents),
                    });
                }
            }
            for last in (1..members.len()).rev() {
                members.swap(last, random.index(last + 1));
            }
            catalog.by_category.push(members);
            catalog.first_term.push(catalog.terms.len());
            catalog.terms.extend(category.searches.iter().map(|text| (at, *text)));
        }
        let categories = CATEGORIES.iter().map(|category| format!("/c/{}", category.name));
        let searches = catalog.terms.iter().map(|(_, text)| format!("/search?q={}", text.replace(' ', "+")));
        let products = catalog.products.iter().map(|product| format!("/p/{}", product.sku.to_lowercase()));
        let urls: Vec<String> = categories.chain(searches).chain(products).collect();
        catalog.urls.extend(urls);
        catalog
    }

    /// A product of the category, often a popular one.
    pub(super) fn product(&self, random: &mut Random, category: usize) -> usize {
        let members = &self.by_category[category];
        members[random.popular(members.len())]
    }

    /// A search in the category.
    pub(super) fn term(&self, random: &mut Random, category: usize) -> usize {
        self.first_term[category] + random.popular(CATEGORIES[category].searches.len())
    }

    pub(super) fn home_url(random: &mut Random) -> usize {
        random.weighted(&[70, 22, 8])
    }

    pub(super) fn category_url(category: usize) -> usize {
        PAGES.len() + category
    }

    pub(super) fn term_url(term: usize) -> usize {
        PAGES.len() + CATEGORIES.len() + term
    }

    pub(super) fn product_url(&self, product: usize) -> usize {
        PAGES.len() + CATEGORIES.len() + self.terms.len() + product
    }
}

/// A price as shops make them: cheaper ones are more common, and it ends in 9.
fn price(random: &mut Random, (low, high): (i64, i64)) -> u32 {
    let top = random.between(low, high);
    let cents = random.between(low, top + 1);
    u32::try_from(cents - cents % 100 + 99).unwrap_or(99)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_those_of_what_they_name() {
        let catalog = Catalog::new(1);
        assert_eq!(catalog.urls[Page::Support as usize], "/support");
        assert_eq!(catalog.urls[Catalog::category_url(1)], "/c/apparel");
        assert_eq!(catalog.urls[Catalog::term_url(0)], "/search?q=running+shoes");
        assert_eq!(catalog.urls[catalog.product_url(0)], "/p/sho-0001");
        assert_eq!(catalog.products[0].name, "Velora Running Shoe");
        assert!(catalog.products.iter().all(|product| product.cents % 100 == 99));
    }
}
